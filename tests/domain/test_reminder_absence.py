"""What falls due while nobody is there, and what is said when they are back (product.md §4.5)."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import reminder_delivery
from domain.absence import AWAY, Absence
from domain.escalation import Lead, Policy, Step, Who
from domain.reminder_series import OccurrenceState, ReminderState
from tests.domain.reminders import Diary, after_done, blank, daily, once, utc

SKIPPED, DUE, MISSED, SCHEDULED = (
    OccurrenceState.SKIPPED,
    OccurrenceState.DUE,
    OccurrenceState.MISSED,
    OccurrenceState.SCHEDULED,
)
FIRST = utc("2026-03-01T07:00")
"""08:00 in Berlin."""
A_DAY, HALF_AN_HOUR, A_SECOND = timedelta(days=1), timedelta(minutes=30), timedelta(seconds=1)
NAGGING: Policy = (
    Step(timedelta(0), ("push",)),
    Step(HALF_AN_HOUR, ("push",)),
    Step(2 * HALF_AN_HOUR, ("push",), Who.OTHERS),
)


def away(schedule: dict[str, object], *spans: tuple[datetime, datetime], **fields: object) -> Diary:
    """A reminder of a household that is away then."""
    absences = tuple(Absence(*span) for span in spans)
    return Diary(replace(blank(**schedule), absences=absences, **fields), utc("2026-02-01T00:00"))  # type: ignore[arg-type]


def said(diary: Diary) -> list[tuple[datetime, str]]:
    return [(at, notice.step) for at, notice in diary.sent]


def test_a_week_away_is_silent_on_record_and_over_by_itself() -> None:
    fish = away(daily(), (FIRST, FIRST + 7 * A_DAY), policy=NAGGING)
    fish.until(FIRST + 7 * A_DAY)
    assert said(fish) == [(FIRST + 7 * A_DAY, "due")]
    assert [state for _, state in fish.states] == [SKIPPED] * 7 + [DUE, SCHEDULED]
    assert {(o.reason, o.closed_by) for o in fish.rows.values() if o.state is SKIPPED} == {(AWAY, None)}
    assert not fish.due.late


@pytest.mark.parametrize(
    ("since", "until", "state"),
    [
        (FIRST, FIRST + A_SECOND, SKIPPED),
        (FIRST + A_SECOND, FIRST + A_DAY, DUE),
        (FIRST - A_DAY, FIRST, DUE),
        (FIRST - A_DAY, FIRST + A_SECOND, SKIPPED),
    ],
)
def test_the_instant_decides_start_inclusive_end_exclusive(
    since: datetime, until: datetime, state: OccurrenceState
) -> None:
    fish = away(daily(), (since, until))
    fish.until(FIRST)
    assert fish.states[0] == ("2026-03-01T08:00", state)


@pytest.mark.parametrize("schedule", [once("2026-03-01T08:00"), after_done("2026-03-01T08:00")])
def test_what_does_not_come_again_by_itself_asks_on_the_return_from_its_first_step(
    schedule: dict[str, object],
) -> None:
    back = FIRST + 3 * A_DAY
    tank = away(schedule, (FIRST - A_DAY, back), policy=NAGGING)
    tank.until(back - A_SECOND)
    assert (said(tank), tank.due.nominal) == ([], "2026-03-01T08:00")
    tank.until(back + A_DAY)
    assert said(tank) == [(back, "due"), (back + HALF_AN_HOUR, "due+30"), (back + 2 * HALF_AN_HOUR, "due+60")]
    assert not tank.due.late


def test_the_next_one_after_completion_counts_from_when_it_was_done() -> None:
    tank = away(after_done("2026-03-01T08:00", 10, "day"), (FIRST - A_DAY, FIRST + 3 * A_DAY))
    tank.until(FIRST + 4 * A_DAY)
    tank.complete(tank.due.key)
    assert tank.pending.nominal == "2026-03-15T08:00"


def test_whoever_is_back_early_is_asked_at_once() -> None:
    tank = away(once("2026-03-01T08:00"), (FIRST - A_DAY, FIRST + 9 * A_DAY))
    tank.until(FIRST + A_DAY)
    assert reminder_delivery.plan(tank.load()).at == FIRST + 9 * A_DAY
    tank.series = replace(tank.series, absences=(Absence(FIRST - A_DAY, tank.now),))  # and the bell rings
    tank.until(tank.now)
    assert said(tank) == [(FIRST + A_DAY, "due")]


def test_what_is_due_when_they_leave_stays_due_and_is_quiet_until_something_rings_again() -> None:
    fish = away(daily(), (FIRST + timedelta(minutes=10), FIRST + 3 * A_DAY), policy=NAGGING)
    fish.until(FIRST + 3 * A_DAY - A_SECOND)
    assert said(fish) == [(FIRST, "due")]
    assert [state for _, state in fish.states] == [DUE, SKIPPED, SKIPPED, SCHEDULED]
    fish.until(FIRST + 3 * A_DAY)
    assert said(fish)[1:] == [(FIRST + 3 * A_DAY, "due")]
    assert fish.states[0] == ("2026-03-01T08:00", MISSED)


def test_steps_that_were_held_back_for_an_hour_are_one_notice_after_it() -> None:
    fish = away(daily(), (FIRST + timedelta(minutes=10), FIRST + timedelta(minutes=90)), policy=NAGGING)
    fish.until(FIRST + timedelta(hours=5))
    assert said(fish) == [(FIRST, "due"), (FIRST + timedelta(minutes=90), "due+60")]


def test_an_overdue_mark_waits_for_the_return_too() -> None:
    vet = away(once("2026-03-01T08:00"), (FIRST + 5 * A_DAY, FIRST + 12 * A_DAY))
    vet.until(FIRST + 20 * A_DAY)
    assert said(vet) == [(FIRST, "due"), (FIRST + 12 * A_DAY, "overdue-1")]


def test_a_snooze_into_the_absence_is_said_on_the_return() -> None:
    fish = away(daily(), (FIRST + timedelta(minutes=10), FIRST + timedelta(hours=20)))
    fish.snooze(fish.pending.key, FIRST + timedelta(hours=1))
    fish.until(FIRST + timedelta(hours=21))
    assert said(fish) == [(FIRST + timedelta(hours=20), "snooze-1")]


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (FIRST - timedelta(hours=2), FIRST + A_DAY),  # what it tells of will be passed over
        (FIRST - 2 * A_DAY, FIRST - timedelta(hours=2)),  # they are back in time, but not yet
    ],
)
def test_nobody_is_told_ahead_of_what_they_are_away_for_or_while_they_are(since: datetime, until: datetime) -> None:
    bath = away(daily(count=1), (since, until), leads=(Lead(A_DAY),))
    bath.until(FIRST - A_SECOND)
    assert said(bath) == []


def test_after_an_outage_what_lay_in_an_absence_is_skipped_and_the_rest_is_missed() -> None:
    fish = away(daily(), (FIRST + A_DAY, FIRST + 3 * A_DAY))
    fish.until(FIRST + 4 * A_DAY, awake=False)
    fish.until(fish.now)
    assert [state for _, state in fish.states] == [MISSED, SKIPPED, SKIPPED, MISSED, DUE, SCHEDULED]


def test_the_last_of_a_course_that_nobody_was_there_for_ends_it() -> None:
    course = away(daily(count=2), (FIRST + A_DAY, FIRST + 2 * A_DAY))
    course.until(FIRST)
    course.complete(course.due.key)
    course.until(FIRST + A_DAY)
    assert (course.series.state, course.series.ended_reason) == (ReminderState.ENDED, "skipped")


def test_somebody_who_is_there_all_the_same_takes_it_up_again() -> None:
    fish = away(daily(), (FIRST, FIRST + A_DAY))
    fish.until(FIRST)
    before = fish.series.finished
    (skipped,) = (o for o in fish.rows.values() if o.state is SKIPPED)
    fish.undo(skipped.key)
    fish.complete(skipped.key)
    assert (fish.states[0][1], fish.series.finished) == (OccurrenceState.DONE, before)


@given(
    schedule=st.sampled_from([daily(), once("2026-03-01T08:00"), after_done("2026-03-01T08:00"), daily(count=2)]),
    spans=st.lists(st.tuples(st.integers(-2_000, 20_000), st.integers(1, 20_000)), max_size=4),
    late=st.sampled_from([0, 1, 90, 7_200]),
)
def test_nothing_is_said_while_they_are_away_and_no_plan_stands_still(
    schedule: dict[str, object], spans: list[tuple[int, int]], late: int
) -> None:
    """`late`: seconds between a plan's time and its delivery. A plan whose time has come and that a delivery leaves as
    it is would be carried out again and again."""
    minute = timedelta(minutes=1)
    away_then = [(FIRST + start * minute, FIRST + (start + length) * minute) for start, length in spans]
    diary = away(schedule, *away_then, policy=NAGGING, leads=(Lead(A_DAY),))
    while (at := reminder_delivery.plan(diary.load()).at) is not None and at < FIRST + 20 * A_DAY:
        diary.now = max(diary.now, at) + late * A_SECOND
        diary.deliver()
        following = reminder_delivery.plan(diary.load()).at
        assert following is None or following > diary.now
    if not late:  # of what was planned before they left and comes late, the sending decides
        assert not any(absence.covers(at) for at in diary.sent_at for absence in diary.series.absences)
