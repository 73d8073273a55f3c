"""Escalation steps, pre-due notices and the dose guard: what is said when, under anything that may happen meanwhile."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Invalid, PetfolioError
from domain import escalation
from domain.escalation import DEFAULT_LEADS, DEFAULT_STEPS, Lead, Policy, Step, Who
from domain.reminder_actions import Acknowledge, AlreadyGiven, Complete, Configure, Reschedule, TooEarly, TooSoon
from domain.reminder_series import DoseGuard, OccurrenceState, ReminderClass, Series
from domain.reminder_steps import ESCALATION, LEAD, MISSED, round_began
from tests.domain.reminders import ANNA, BEN, Diary, after_done, blank, daily, once, utc
from tests.domain.test_reminder_properties import act, pauses, schedules, starts, steps, zones

MINUTE = timedelta(minutes=1)
LADDER: Policy = (
    Step(timedelta(0), ("email",)),
    Step(10 * MINUTE, ("push",)),
    Step(30 * MINUTE, ("push",), Who.OTHERS),
)


def laddered(policy: Policy = LADDER, leads: tuple[Lead, ...] = (), **schedule: object) -> Series:
    return replace(blank(**schedule), policy=policy, leads=leads)


def said(diary: Diary) -> list[str]:
    return [notice.step for _, notice in diary.sent]


def test_nobody_answers_and_each_step_is_taken_at_its_time() -> None:
    """The alert came again until somebody answered (did-i-take-my-meds#64)."""
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T09:00"))
    due = utc("2026-03-01T07:00")
    assert tablet.sent_at == [due, due + 10 * MINUTE, due + 30 * MINUTE]
    assert said(tablet) == ["due", "due+10", "due+30"]
    assert [notice.targets for _, notice in tablet.sent] == [
        ((Who.ASSIGNEE, "email"),),
        ((Who.ASSIGNEE, "push"),),
        ((Who.OTHERS, "push"),),
    ]


@pytest.mark.parametrize("how", ["complete", "skip", "acknowledge"])
def test_whoever_acts_ends_the_escalation(how: str) -> None:
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T07:05"))
    key = tablet.due.key
    {
        "complete": lambda: tablet.complete(key),
        "skip": lambda: tablet.skip(key),
        "acknowledge": lambda: tablet.act(Acknowledge(key, ANNA)),
    }[how]()
    tablet.until(utc("2026-03-02T06:00"))
    assert said(tablet) == ["due"]


def test_a_snooze_begins_a_new_round_from_the_first_step() -> None:
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T07:15"))
    tablet.snooze(tablet.due.key, timedelta(hours=1))
    tablet.until(utc("2026-03-01T12:00"))
    assert said(tablet) == ["due", "due+10", "snooze-1", "snooze-1+10", "snooze-1+30"]


def test_seen_before_a_snoozed_notice_does_not_silence_the_new_round() -> None:
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T07:05"))
    tablet.act(Acknowledge(tablet.due.key, ANNA))
    tablet.snooze(tablet.due.key, timedelta(hours=1))
    tablet.until(utc("2026-03-01T12:00"))
    assert said(tablet) == ["due", "snooze-1", "snooze-1+10", "snooze-1+30"]


def test_an_outage_over_all_steps_is_one_notice_for_everybody_concerned() -> None:
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T08:00"), awake=False)
    tablet.until(utc("2026-03-01T08:00"))
    ((_, notice),) = tablet.sent
    assert notice.step == "due+30"
    assert notice.targets == ((Who.ASSIGNEE, "email"), (Who.ASSIGNEE, "push"), (Who.OTHERS, "push"))


def test_undone_after_a_while_the_steps_go_on_where_they_were() -> None:
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T07:05"))
    key = tablet.due.key
    tablet.complete(key)
    tablet.undo(key)
    tablet.until(utc("2026-03-01T08:00"))
    assert said(tablet) == ["due", "due+10", "due+30"]


def test_two_days_and_two_hours_ahead() -> None:
    vet = Diary(
        laddered(leads=(Lead(timedelta(days=2)), Lead(timedelta(hours=2))), **once("2026-03-10T10:00")),
        utc("2026-03-01T00:00"),
    )
    vet.until(utc("2026-03-10T09:00"))
    due = utc("2026-03-10T09:00")
    assert [(at, notice.step) for at, notice in vet.sent] == [
        (due - timedelta(days=2), "lead-2880"),
        (due - timedelta(hours=2), "lead-120"),
        (due, "due"),
    ]


@pytest.mark.parametrize(
    ("due", "booked", "days"),
    [
        ("2026-03-10T10:00", "2026-03-01T00:00", [2]),  # a Tuesday, booked nine days ahead
        ("2026-03-09T10:00", "2026-03-01T00:00", [3]),  # a Monday: the Saturday before, nobody answers the phone
        ("2026-03-10T10:00", "2026-01-20T00:00", [7, 2]),  # seven weeks ahead
        ("2026-03-09T10:00", "2026-01-20T00:00", [7, 3]),
        ("2026-03-10T10:00", "2026-02-01T00:00", [2]),  # five weeks ahead
    ],
)
def test_an_appointment_is_announced_as_practices_do(due: str, booked: str, days: list[int]) -> None:
    vet = Diary(laddered(leads=DEFAULT_LEADS["appointment"], **once(due)), utc(booked))
    vet.until(utc("2026-03-10T09:00"))
    ahead = [step for step in said(vet) if step.startswith(LEAD)]
    assert ahead == [f"lead-{day * 24 * 60}" for day in days] + ["lead-120"]


def test_an_appointment_that_is_moved_close_is_not_announced_a_week_ahead() -> None:
    vet = Diary(laddered(leads=DEFAULT_LEADS["appointment"], **once("2026-05-12T10:00")), utc("2026-01-20T00:00"))
    assert vet.pending.lead_at == vet.pending.instant - timedelta(days=7)
    vet.until(utc("2026-02-20T00:00"))
    vet.act(Reschedule(blank(**once("2026-03-10T10:00")).schedule))
    assert vet.pending.lead_at == vet.pending.instant - timedelta(days=2)


def test_a_pre_due_notice_follows_the_series_to_its_next_occurrence() -> None:
    walk = Diary(laddered(leads=(Lead(timedelta(hours=1)),), **daily()), utc("2026-03-01T00:00"))
    walk.until(utc("2026-03-02T07:00"))
    assert [step for step in said(walk) if not step.startswith("due+")] == ["lead-60", "due", "lead-60", "due"]


def test_a_pre_due_notice_that_comes_far_too_late_is_not_sent() -> None:
    walk = Diary(laddered(leads=(Lead(timedelta(hours=1)),), **daily()), utc("2026-03-01T00:00"))
    walk.until(utc("2026-03-01T06:50"), awake=False)
    walk.until(utc("2026-03-01T07:00"))
    assert said(walk) == ["due"]


def test_a_journey_moves_the_pre_due_notice_along() -> None:
    walk = Diary(laddered(leads=(Lead(timedelta(hours=1)),), **daily()), utc("2026-03-01T00:00"))
    walk.travel("America/New_York")
    assert walk.pending.lead_at == utc("2026-03-01T12:00")


def test_other_steps_count_from_now_on_and_say_nothing_twice() -> None:
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T07:15"))
    shorter = (*LADDER[:1], Step(20 * MINUTE, ("sms",)))
    tablet.act(Configure(ReminderClass.ROUTINE, shorter, (), DoseGuard()))
    tablet.until(utc("2026-03-01T09:00"))
    assert said(tablet) == ["due", "due+10", "due+20"]


def dose(**options: object) -> Diary:
    series = replace(blank(klass=ReminderClass.DOSE, **daily(times=["08:00", "20:00"])), **options)  # type: ignore[arg-type]
    return Diary(series, utc("2026-03-01T00:00"))


def test_a_dose_may_be_given_two_hours_early_and_not_before() -> None:
    tablet = dose()
    with pytest.raises(TooEarly):
        tablet.complete(tablet.pending.key)
    tablet.until(utc("2026-03-01T05:00"))
    assert tablet.complete(tablet.pending.key).given is not None


def test_too_soon_after_the_last_dose_is_refused_until_the_gap_is_over() -> None:
    tablet = dose(guard=DoseGuard(min_gap=timedelta(hours=10)))
    tablet.until(utc("2026-03-01T09:30"))
    given = tablet.complete(tablet.due.key).given
    tablet.series = replace(tablet.series, last_given=given)
    tablet.until(utc("2026-03-01T19:00"))
    with pytest.raises(TooSoon) as refused:
        tablet.complete(tablet.due.key)
    assert refused.value.extra["next_allowed_at"] == "2026-03-01T19:30:00Z"
    forced = tablet.act(Complete(tablet.due.key, BEN, overrides=True))
    assert forced.given is not None
    assert forced.given.overridden


def test_the_second_caregiver_learns_who_was_first() -> None:
    tablet = dose()
    tablet.until(utc("2026-03-01T07:00"))
    key = tablet.due.key
    tablet.complete(key)
    with pytest.raises(AlreadyGiven) as refused:
        tablet.act(Complete(key, BEN))
    assert refused.value.extra["given_by"] == str(ANNA)


def test_a_routine_task_has_no_guard() -> None:
    walk = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    assert walk.complete(walk.pending.key).given is None


@pytest.mark.parametrize("category", sorted(DEFAULT_STEPS))
def test_every_default_survives_its_own_json(category: str) -> None:
    given_steps = DEFAULT_STEPS[category]
    assert escalation.parse_steps(escalation.to_json(given_steps)) == given_steps


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "after_minutes": st.integers(-5, 60_000),
                "channels": st.lists(st.sampled_from([*escalation.CHANNELS, "digest"]), max_size=4),
                "who": st.sampled_from([who.value for who in Who]),
            }
        ),
        max_size=10,
    )
)
def test_whatever_steps_are_asked_for_they_are_refused_or_come_back_the_same(raw: list[dict[str, object]]) -> None:
    try:
        parsed = escalation.parse_steps(raw)
    except Invalid:
        return
    assert escalation.to_json(parsed) == raw


policies = st.lists(st.integers(1, 60 * 40), max_size=4, unique=True).map(
    lambda minutes: (LADDER[0], *(Step(m * MINUTE, ("push",)) for m in sorted(minutes)))
)
leads = st.lists(st.sampled_from([5, 60, 600, 1_440, 4_000]), max_size=3, unique=True).map(
    lambda minutes: tuple(Lead(timedelta(minutes=m)) for m in sorted(minutes, reverse=True))
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedule=schedules, zone=zones, start=starts, script=steps, policy=policies, ahead=leads)
def test_whatever_happens_a_step_is_said_once_in_its_time_and_never_to_the_deaf(
    schedule: dict[str, object], zone: str, start, script, policy: Policy, ahead: tuple[Lead, ...]
) -> None:  # type: ignore[no-untyped-def]
    diary = Diary(replace(blank(zone, **schedule), policy=policy, leads=ahead), start)
    for what, which, how_long, elsewhere in script:
        sent = len(diary.sent)
        act(diary, what, which, how_long, elsewhere)
        for at, notice in diary.sent[sent:]:
            occurrence = diary.rows.get(notice.key)
            if occurrence is None:
                continue
            if notice.step.startswith(LEAD):
                assert at < occurrence.instant or diary.series.zone != zone
            elif notice.step == MISSED:
                assert occurrence.state is OccurrenceState.MISSED
            elif ESCALATION in notice.step and occurrence.acknowledged_at is not None:
                assert not round_began(occurrence) <= occurrence.acknowledged_at < at
    said_once = Counter((notice.key, notice.step) for _, notice in diary.sent if not notice.step.startswith(LEAD))
    assert all(times == 1 for times in said_once.values())


@settings(max_examples=200, deadline=None)
@given(schedule=schedules, zone=zones, start=starts, outage=pauses, policy=policies, ahead=leads)
def test_any_outage_brings_each_person_one_notice_per_occurrence_at_most(
    schedule: dict[str, object], zone: str, start, outage: timedelta, policy: Policy, ahead: tuple[Lead, ...]
) -> None:  # type: ignore[no-untyped-def]
    diary = Diary(replace(blank(zone, **schedule), policy=policy, leads=ahead), start)
    diary.until(start + outage, awake=False)
    diary.until(start + outage)
    keys = [notice.key for _, notice in diary.sent]
    assert len(keys) == len(set(keys))
    assert len([notice for _, notice in diary.sent if not notice.step.startswith(LEAD)]) <= 1


def test_a_task_that_is_due_again_after_it_was_done_is_announced_ahead_as_well() -> None:
    flea = Diary(laddered(leads=(Lead(timedelta(days=1)),), **after_done("2026-03-10T08:00")), utc("2026-03-01T00:00"))
    flea.until(utc("2026-03-10T07:00"))
    with suppress(PetfolioError):
        flea.complete(flea.due.key)
    assert flea.pending.lead_at == flea.pending.instant - timedelta(days=1)
