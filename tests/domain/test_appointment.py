"""Appointments: when they take place, what they may hold, and what becomes of exceptions when a series changes."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain.appointment import (
    MOST_ALARMS,
    Occurrence,
    State,
    as_time,
    check,
    named,
    occurrences,
    point_of,
    point_text,
    reach,
)
from domain.appointment_series import NoSuchOccurrence, leave_out, plain, put, reschedule, reword
from domain.calendar import Event, Override, Point, Status, When
from domain.recurrence import resolve

BERLIN = "Europe/Berlin"
NINE = datetime(2026, 6, 2, 9)
"""A Tuesday."""
YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def weekly(rrule: str | None = "FREQ=WEEKLY;COUNT=6", **fields: Any) -> Event:
    """Tuesdays from nine to ten in Berlin."""
    return Event("Agility", When(NINE, NINE + timedelta(hours=1), BERLIN, rrule), **fields)


def days(rrule: str | None = None, length: int = 1, **fields: Any) -> Event:
    return Event("Boarding", When(date(2026, 6, 2), date(2026, 6, 2) + timedelta(days=length), None, rrule), **fields)


def moved(original: Point, start: Point, **words: str) -> Override:
    length = timedelta(hours=1) if isinstance(start, datetime) else timedelta(days=1)
    return Override(original, start, start + length, **({"title": "Agility"} | words))


def shown(event: Event, span: tuple[datetime, datetime] = YEAR, zone: str = BERLIN) -> list[Occurrence]:
    return list(islice(occurrences(event, *span, zone), 1_000))


def starts(event: Event, **options: Any) -> list[Point]:
    return [each.start for each in shown(event, **options)]


def tuesday(number: int) -> datetime:
    return NINE + timedelta(weeks=number)


class TestOccurrences:
    def test_each_has_the_wall_time_of_the_series_and_the_instant_of_its_day(self) -> None:
        event = Event("Walk", When(datetime(2026, 3, 24, 9), datetime(2026, 3, 24, 10), BERLIN, "FREQ=WEEKLY;COUNT=2"))
        assert [(each.start, each.starts.hour, each.ends.hour) for each in shown(event)] == [
            (datetime(2026, 3, 24, 9), 8, 9),
            (datetime(2026, 3, 31, 9), 7, 8),
        ]

    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
    def test_sixty_weeks_across_the_changes_of_the_clocks_show_the_same_time(self, zone: str) -> None:
        start = datetime(2026, 2, 1, 2, 15)
        event = Event("Pill", When(start, start + timedelta(minutes=5), zone, "FREQ=WEEKLY;COUNT=60"))
        found = shown(event, span=(YEAR[0], YEAR[0] + timedelta(days=600)))
        assert [each.start for each in found] == [start + timedelta(weeks=n) for n in range(60)]
        assert [each.starts for each in found] == [resolve(as_time(each.start), zone) for each in found]

    def test_a_time_that_the_clock_skips_comes_later_and_one_it_shows_twice_comes_first(self) -> None:
        gap, overlap = datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30)
        once = [Event("Pill", When(at, at + timedelta(hours=1), BERLIN)) for at in (gap, overlap)]
        (late,), (first,) = map(shown, once)
        assert late.starts == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
        assert first.starts == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    def test_a_stay_ends_at_the_time_its_clock_shows_also_in_the_night_of_the_change(self) -> None:
        evening = datetime(2026, 3, 28, 20)
        (stay,) = shown(Event("Stay", When(evening, datetime(2026, 3, 29, 8), BERLIN)))
        assert (stay.ends - stay.starts, stay.end) == (timedelta(hours=11), datetime(2026, 3, 29, 8))

    def test_none_ends_before_it_begins(self) -> None:
        """From 02:30 to 02:45 in a gap that begins at 02:00 is 03:30 to 03:45; up to 03:00 it would be backwards."""
        (odd,) = shown(Event("Odd", When(datetime(2026, 3, 29, 2, 30), datetime(2026, 3, 29, 3), BERLIN)))
        assert odd.starts == odd.ends

    def test_what_began_before_the_span_and_goes_on_is_shown_and_what_ends_there_is_not(self) -> None:
        event = days(length=3)
        span = (datetime(2026, 6, 3, 22, tzinfo=UTC), datetime(2026, 6, 10, tzinfo=UTC))
        assert starts(event, span=span) == [date(2026, 6, 2)]
        assert starts(event, span=(datetime(2026, 6, 4, 22, tzinfo=UTC), span[1])) == []
        assert starts(event, span=(YEAR[0], datetime(2026, 6, 1, 22, tzinfo=UTC))) == []

    def test_what_takes_no_time_is_there_at_its_moment(self) -> None:
        event = Event("Now", When(NINE, NINE, BERLIN))
        at = resolve(NINE, BERLIN)
        assert starts(event, span=(at, at + timedelta(seconds=1))) == [NINE]
        assert starts(event, span=(at - timedelta(seconds=1), at)) == []

    def test_whole_days_begin_where_they_are_read(self) -> None:
        tokyo, lima = (shown(days(), zone=zone)[0] for zone in ("Asia/Tokyo", "America/Lima"))
        assert tokyo.starts == datetime(2026, 6, 1, 15, tzinfo=UTC)
        assert (lima.starts, lima.ends) == (
            datetime(2026, 6, 2, 5, tzinfo=UTC),
            datetime(2026, 6, 3, 5, tzinfo=UTC),
        )

    def test_those_left_out_are_missing_and_those_moved_are_where_they_were_put(self) -> None:
        event = weekly(
            exdates=(tuesday(1),),
            overrides=(moved(tuesday(2), tuesday(2) + timedelta(days=30), title="Later"),),
        )
        found = shown(event)
        assert [each.original for each in found] == [tuesday(0), tuesday(3), tuesday(4), tuesday(5), tuesday(2)]
        assert found[-1].title == "Later"

    def test_one_that_was_moved_into_the_span_from_far_away_is_shown_in_it(self) -> None:
        event = weekly("FREQ=YEARLY", overrides=(moved(datetime(2030, 6, 2, 9), datetime(2026, 7, 1, 9)),))
        span = (datetime(2026, 6, 30, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC))
        assert starts(event, span=span) == [datetime(2026, 7, 1, 9)]

    def test_an_endless_series_is_found_as_far_as_it_is_asked_for(self) -> None:
        event = weekly("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")
        assert starts(event) == [NINE]
        assert starts(event, span=(datetime(2026, 7, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC))) == []

    @given(st.integers(0, 400), st.integers(1, 60), st.integers(0, 5_000))
    def test_a_window_shows_what_the_whole_has_in_it(self, ahead: int, length: int, minutes: int) -> None:
        start = datetime(2026, 1, 1, 22)
        event = Event("Night", When(start, start + timedelta(minutes=minutes), BERLIN, "FREQ=DAILY;COUNT=300"))
        after = YEAR[0] + timedelta(days=ahead)
        before = after + timedelta(days=length)
        whole = shown(event, span=(YEAR[0] - timedelta(days=9), YEAR[1] + timedelta(days=9)))
        assert [each.starts for each in shown(event, span=(after, before))] == [
            each.starts
            for each in whole
            if each.starts < before and (each.ends > after or each.starts == each.ends == after)
        ]


class TestReach:
    def test_of_a_series_that_ends_and_of_one_that_does_not(self) -> None:
        assert reach(weekly()) == (resolve(NINE, BERLIN), resolve(tuesday(5) + timedelta(hours=1), BERLIN))
        assert reach(weekly("FREQ=WEEKLY"))[1] is None
        assert reach(weekly(None)) == (resolve(NINE, BERLIN), resolve(NINE + timedelta(hours=1), BERLIN))

    def test_whole_days_are_there_from_their_first_moment_on_earth_to_their_last(self) -> None:
        assert reach(days()) == (datetime(2026, 6, 1, 10, tzinfo=UTC), datetime(2026, 6, 3, 12, tzinfo=UTC))

    @given(
        st.sampled_from(["FREQ=DAILY;COUNT=9", "FREQ=MONTHLY;UNTIL=20270101T000000Z", "FREQ=DAILY;COUNT=2", None]),
        st.integers(-90, 90),
        st.sampled_from(["Pacific/Kiritimati", "Etc/GMT+12", BERLIN]),
    )
    def test_nothing_is_outside_it(self, rrule: str | None, by: int, zone: str) -> None:
        event = weekly(rrule)
        if rrule:
            event = put(
                event, replace(plain(event, NINE), start=NINE + timedelta(days=by), end=NINE + timedelta(days=91))
            )
        for one in (event, days("FREQ=WEEKLY;COUNT=3")):
            first, last = reach(one)
            wide = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))
            found = shown(one, span=wide, zone=zone)
            assert first <= min(each.starts for each in found)
            assert last is not None
            assert last >= max(each.ends for each in found)


class TestCheck:
    def test_the_rule_has_its_one_form(self) -> None:
        assert check(weekly("INTERVAL=1;FREQ=WEEKLY")).when.rrule == "FREQ=WEEKLY"

    @pytest.mark.parametrize(
        ("event", "pointer"),
        [
            (replace(weekly(), when=replace(weekly().when, tzid="Mars/Olympus")), "/tzid"),
            (replace(weekly(), when=replace(weekly().when, tzid=None)), "/tzid"),
            (replace(days(), when=replace(days().when, tzid=BERLIN)), "/tzid"),
            (replace(weekly(), when=replace(weekly().when, end=NINE - timedelta(minutes=1))), "/ends_at"),
            (replace(weekly(), when=replace(weekly().when, end=date(2026, 6, 3))), "/ends_at"),
            (replace(weekly(), when=replace(weekly().when, end=NINE + timedelta(days=400))), "/ends_at"),
            (replace(days(), when=replace(days().when, end=date(2026, 6, 2))), "/ends_at"),
            (Event("Old", When(datetime(1604, 1, 1), datetime(1604, 1, 1), BERLIN)), "/ends_at"),
            (weekly("FREQ=SECONDLY"), "/rrule"),
            (weekly(alarms=(-5,)), "/alarms"),
            (weekly(alarms=tuple(range(MOST_ALARMS + 1))), "/alarms"),
            (weekly(exdates=tuple(NINE + timedelta(days=n) for n in range(1_001))), "/rrule"),
            (weekly(overrides=(moved(NINE, date(2026, 6, 2)),)), "/overrides"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, event: Event, pointer: str) -> None:
        with pytest.raises(Invalid) as refused:
            check(event)
        assert [problem.pointer for problem in refused.value.errors] == [pointer]


class TestState:
    def test_a_calendar_knows_whether_it_takes_place(self) -> None:
        assert [state.status for state in State] == [Status.CONFIRMED, Status.CONFIRMED, Status.CANCELLED]

    @pytest.mark.parametrize(
        ("state", "status", "after"),
        [
            (State.DONE, Status.CONFIRMED, State.DONE),
            (State.DONE, Status.CANCELLED, State.CANCELLED),
            (State.CANCELLED, Status.CONFIRMED, State.PLANNED),
            (State.PLANNED, Status.TENTATIVE, State.PLANNED),
        ],
    )
    def test_what_is_done_stays_done_unless_it_is_called_off(self, state: State, status: Status, after: State) -> None:
        assert state.after(status) is after


class TestExceptions:
    def test_a_moved_occurrence_keeps_its_name_and_can_be_made_like_the_others_again(self) -> None:
        event = weekly()
        changed = put(event, moved(tuesday(1), tuesday(1) + timedelta(hours=2)))
        assert [each.original for each in changed.overrides] == [tuesday(1)]
        assert put(changed, plain(event, tuesday(1))) == event

    def test_one_that_was_left_out_comes_back_when_it_is_put(self) -> None:
        event = leave_out(weekly(), tuesday(1))
        assert leave_out(event, tuesday(1)) == event
        assert put(event, plain(event, tuesday(1))) == weekly()

    def test_leaving_out_one_that_was_moved_forgets_where_to(self) -> None:
        event = put(weekly(), moved(tuesday(1), tuesday(1) + timedelta(hours=2)))
        assert leave_out(event, tuesday(1)) == leave_out(weekly(), tuesday(1))

    @pytest.mark.parametrize("original", [tuesday(6), NINE + timedelta(days=1), date(2026, 6, 2), datetime(1, 1, 1)])
    def test_what_the_rule_does_not_lead_to_is_no_occurrence(self, original: Point) -> None:
        for change in (lambda: leave_out(weekly(), original), lambda: plain(weekly(), original)):
            with pytest.raises(NoSuchOccurrence):
                change()
        with pytest.raises(NoSuchOccurrence):
            plain(weekly(None), NINE)

    def test_new_words_reach_the_occurrences_that_had_the_old_ones(self) -> None:
        event = weekly(overrides=(moved(tuesday(1), tuesday(1), title="Final"), moved(tuesday(2), tuesday(3))))
        changed = reword(event, "Training", "Bring cheese", "Hall")
        assert [(each.title, each.notes) for each in changed.overrides] == [
            ("Final", "Bring cheese"),
            ("Training", "Bring cheese"),
        ]


class TestRescheduling:
    def later(self, event: Event, by: timedelta, **fields: Any) -> Event:
        when = replace(event.when, start=event.when.start + by, end=event.when.end + by)
        return reschedule(event, replace(when, **fields))

    def test_exceptions_keep_their_places_in_the_series(self) -> None:
        hour = timedelta(hours=1)
        event = weekly(
            exdates=(tuesday(1),),
            overrides=(moved(tuesday(2), tuesday(2) + 5 * hour), moved(tuesday(3), tuesday(3), title="Final")),
        )
        changed = self.later(event, hour)
        assert changed.exdates == (tuesday(1) + hour,)
        stays, follows = changed.overrides
        assert (stays.original, stays.start) == (tuesday(2) + hour, tuesday(2) + 5 * hour), "it was put there"
        assert (follows.original, follows.start) == (tuesday(3) + hour, tuesday(3) + hour), "only its words differ"
        assert len(shown(changed)) == len(shown(event)), "none doubled, none lost"

    def test_those_which_the_new_rule_does_not_lead_to_are_dropped(self) -> None:
        event = weekly("FREQ=WEEKLY", exdates=(tuesday(1), tuesday(2)), overrides=(moved(tuesday(3), tuesday(4)),))
        changed = reschedule(event, replace(event.when, rrule="FREQ=WEEKLY;INTERVAL=2"))
        assert (changed.exdates, changed.overrides) == ((tuesday(2),), ())
        once = reschedule(event, replace(event.when, rrule=None))
        assert (once.exdates, once.overrides) == ((), ())

    def test_another_day_of_the_week_takes_them_along(self) -> None:
        event = weekly("FREQ=WEEKLY;BYDAY=TU", exdates=(tuesday(1),))
        changed = self.later(event, timedelta(days=1), rrule="FREQ=WEEKLY;BYDAY=WE")
        assert changed.exdates == (tuesday(1) + timedelta(days=1),)

    def test_times_become_days_and_days_times(self) -> None:
        event = weekly(exdates=(tuesday(1),), overrides=(moved(tuesday(2), tuesday(2) + timedelta(hours=3)),))
        whole = reschedule(event, When(date(2026, 6, 2), date(2026, 6, 3), None, event.when.rrule))
        assert whole.exdates == (date(2026, 6, 9),)
        assert whole.overrides == (moved(date(2026, 6, 16), date(2026, 6, 16)),)
        assert reschedule(whole, event.when).exdates == event.exdates

    def test_another_length_is_that_of_occurrences_that_only_say_something_else(self) -> None:
        event = weekly(overrides=(moved(tuesday(1), tuesday(1), title="Final"),))
        longer = reschedule(event, replace(event.when, end=NINE + timedelta(hours=3)))
        assert longer.overrides[0].end == tuesday(1) + timedelta(hours=3)

    def test_a_schedule_that_cannot_be_used_is_refused_before_anything_moves(self) -> None:
        with pytest.raises(Invalid):
            reschedule(weekly(), replace(weekly().when, tzid="Mars/Olympus"))

    @given(st.integers(-10_000, 10_000), st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
    def test_any_shift_keeps_every_exception_and_shifting_back_restores_it(
        self, minutes: int, gone: set[int], other: set[int]
    ) -> None:
        event = weekly(
            exdates=tuple(tuesday(n) for n in sorted(gone)),
            overrides=tuple(moved(tuesday(n), tuesday(n) + timedelta(days=1)) for n in sorted(other - gone)),
        )
        changed = self.later(event, timedelta(minutes=minutes))
        assert (len(changed.exdates), len(changed.overrides)) == (len(event.exdates), len(event.overrides))
        assert named(changed.when, frozenset(changed.exdates)) == set(changed.exdates)
        back = self.later(changed, timedelta(minutes=-minutes))
        assert (back.when, back.exdates) == (event.when, event.exdates)
        assert [each.original for each in back.overrides] == [each.original for each in event.overrides]


@pytest.mark.parametrize("point", [NINE, NINE + timedelta(seconds=5), date(2026, 6, 2)])
def test_points_are_written_and_read(point: Point) -> None:
    assert point_of(point_text(point)) == point
