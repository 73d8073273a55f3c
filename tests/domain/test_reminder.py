"""The workflow's decisions: what a bell, a plan and the clock lead to."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.reminder import Deliver, Load, Plan, PlanState, State, Stop, Wait, decide, doubted, heard, planned

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
NEW = State(UUID("0190a000-0000-7000-8000-000000000001"))


def test_a_new_workflow_reads_its_plan_first() -> None:
    assert decide(NEW, NOW) == Load()


def test_a_plan_in_the_future_waits_and_a_due_one_delivers() -> None:
    plan = Plan(NOW, "f:1:2026-03-01T09:00", "due")
    state = planned(NEW, plan, 0)
    assert decide(state, NOW - timedelta(seconds=1)) == Wait(NOW)
    assert decide(state, NOW) == Deliver(plan)


def test_a_bell_during_loading_is_obeyed_afterwards() -> None:
    """The plan that is being read may be older than the change that rang."""
    loading = heard(NEW, 7)
    rung = heard(loading, 9)
    assert decide(planned(rung, Plan(NOW), 7), NOW) == Load()


def test_stale_and_repeated_bells_change_nothing() -> None:
    state = planned(heard(NEW, 9), Plan(None), 9)
    assert heard(state, 9) is state
    assert heard(state, 3) is state
    assert decide(state, NOW) == Wait(None)


def test_an_ended_series_stops_unless_somebody_rang_meanwhile() -> None:
    over = planned(heard(NEW, 1), Plan.over(), 1)
    assert decide(over, NOW) == Stop()
    assert decide(heard(over, 2), NOW) == Load()


def test_a_paused_series_waits_for_a_bell_however_long() -> None:
    assert decide(planned(NEW, Plan(state=PlanState.PAUSED), 0), NOW) == Wait(None)


def test_a_plan_that_failed_is_read_again() -> None:
    assert decide(doubted(planned(NEW, Plan(NOW), 0)), NOW) == Load()
