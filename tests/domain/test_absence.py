"""Absences: when somebody is away, when they are back, and what is none."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain.absence import Absence, AbsenceOver, AbsenceState, back_at, check_not_over, check_span
from tests.domain.reminders import utc

FROM, UNTIL = utc("2026-08-01T07:00"), utc("2026-08-08T22:00")
A_SECOND = timedelta(seconds=1)
AWAY = Absence(FROM, UNTIL)
MINUTES = st.integers(0, 100)


@pytest.mark.parametrize(
    ("moment", "back"),
    [
        (FROM - A_SECOND, FROM - A_SECOND),
        (FROM, UNTIL),
        (UNTIL - A_SECOND, UNTIL),
        (UNTIL, UNTIL),
        (UNTIL + A_SECOND, UNTIL + A_SECOND),
    ],
)
def test_the_start_is_part_of_it_and_the_end_is_not(moment: datetime, back: datetime) -> None:
    assert back_at([AWAY], moment) == back


def test_absences_that_meet_or_overlap_are_one() -> None:
    second = Absence(UNTIL, UNTIL + timedelta(days=1))
    third = Absence(UNTIL + timedelta(hours=1), UNTIL + timedelta(days=3))
    later = Absence(UNTIL + timedelta(days=4), UNTIL + timedelta(days=5))
    assert back_at([later, third, second, AWAY], FROM) == third.ends_at


@given(spans=st.lists(st.tuples(MINUTES, MINUTES), max_size=8), at=MINUTES)
def test_whoever_is_back_is_not_away_and_was_until_then(spans: list[tuple[int, int]], at: int) -> None:
    absences = [Absence(FROM + start * A_SECOND, FROM + end * A_SECOND) for start, end in spans]
    back = back_at(absences, FROM + at * A_SECOND)
    assert not any(absence.covers(back) for absence in absences)
    gone = (back - FROM) // A_SECOND
    assert all(any(each.covers(FROM + n * A_SECOND) for each in absences) for n in range(at, gone))


@pytest.mark.parametrize(
    ("absence", "now", "state"),
    [
        (AWAY, FROM - A_SECOND, AbsenceState.COMING),
        (AWAY, FROM, AbsenceState.ACTIVE),
        (AWAY, UNTIL, AbsenceState.OVER),
        (Absence(FROM, FROM - A_SECOND), FROM - A_SECOND, AbsenceState.OVER),  # ended before it began
        (Absence(FROM, FROM - A_SECOND), FROM - 2 * A_SECOND, AbsenceState.OVER),
    ],
)
def test_what_it_is_now(absence: Absence, now: datetime, state: AbsenceState) -> None:
    assert absence.state(now) is state


def test_what_is_over_is_not_taken_up_again() -> None:
    check_not_over(AWAY, UNTIL - A_SECOND)
    with pytest.raises(AbsenceOver):
        check_not_over(AWAY, UNTIL)


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "pointer", "code"),
    [
        (FROM, FROM, "/ends_at", "span_invalid"),
        (FROM - timedelta(days=9), FROM - timedelta(days=8), "/ends_at", "span_invalid"),
        (FROM, FROM + timedelta(days=366) + A_SECOND, "/ends_at", "too_long"),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=23))), UNTIL, "/starts_at", "too_far"),
        (FROM, datetime.max.replace(tzinfo=timezone(-timedelta(hours=23))), "/ends_at", "too_long"),
        (FROM, datetime.min.replace(tzinfo=timezone(timedelta(hours=23))), "/ends_at", "span_invalid"),
    ],
)
def test_what_is_no_absence_is_refused_by_field(
    starts_at: datetime, ends_at: datetime, pointer: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        check_span(starts_at, ends_at, now=FROM - timedelta(days=1))
    assert [(problem.pointer, problem.code) for problem in refused.value.errors] == [(pointer, code)]


def test_a_year_and_a_day_is_one() -> None:
    check_span(FROM, FROM + timedelta(days=366), now=FROM)
