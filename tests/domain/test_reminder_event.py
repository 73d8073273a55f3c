"""Reminders as events: what a calendar shows is what fires, and an event that was moved is a schedule again."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import Invalid
from domain.appointment import occurrences
from domain.calendar import Event, Field, When
from domain.calendar_form import canonical_when
from domain.calendar_projection import project
from domain.recurrence import Fixed, Once, Schedule, expand
from domain.reminder_event import MOVABLE, SHOWN_FOR, UNMOVABLE, events, rescheduled, side_of
from domain.schedule_json import Zones, parse_schedule

BERLIN = "Europe/Berlin"
ANCHOR = "2026-12-01T08:00"

rules = st.one_of(
    st.fixed_dictionaries({"freq": st.sampled_from(["DAILY", "YEARLY"])}),
    st.fixed_dictionaries(
        {
            "freq": st.just("WEEKLY"),
            "byday": st.lists(st.sampled_from(["MO", "TU", "TH", "SA", "SU"]), min_size=1, unique=True),
            "wkst": st.sampled_from(["MO", "SU"]),
        }
    ),
    st.fixed_dictionaries({"freq": st.just("MONTHLY"), "bymonthday": st.sampled_from([1, 28, 29, 30, 31, -1])}),
    st.fixed_dictionaries({"freq": st.just("MONTHLY"), "byday": st.sampled_from([["1MO"], ["3SA"], ["-1FR"]])}),
)
ends = st.sampled_from([{}, {"count": 1}, {"count": 7}, {"until": "2029-03-31"}])
anchors = st.sampled_from(
    ["2026-01-31T09:00", "2028-02-29T23:30", "2026-03-27T07:15", "2026-12-31T00:00", "2026-05-05", "2028-02-29"]
)


def parsed(**raw: Any) -> Schedule:
    return parse_schedule({"dtstart_local": ANCHOR, "mode": "fixed", **raw}, zones=Zones(BERLIN, BERLIN))


@st.composite
def fixed(
    draw: st.DrawFn, rules: st.SearchStrategy[dict[str, Any]] = rules, anchors: st.SearchStrategy[str] = anchors
) -> Fixed:
    """A schedule with one time of day."""
    raw = {"dtstart_local": draw(anchors), **draw(rules), **draw(ends), "interval": draw(st.integers(1, 4))}
    try:
        schedule = parsed(**raw)
    except Invalid:
        assume(False)  # a rule without any date
    assert isinstance(schedule, Fixed)
    return schedule


def the_only(schedule: Schedule, pending: datetime | None = None) -> Event:
    (event,) = events("Tablet", None, schedule, pending).values()
    return event


@given(fixed())
def test_what_the_calendar_shows_is_what_fires(schedule: Fixed) -> None:
    event = the_only(schedule)
    begins = datetime(2025, 12, 31, tzinfo=UTC)
    shown = islice(occurrences(event, begins, datetime(2034, 1, 1, tzinfo=UTC), BERLIN), 12)
    fired = list(islice(schedule.rule.nominals(schedule.start, schedule.times), 12))
    found = [each.start for each in shown]
    until = datetime(2033, 12, 1)
    assert found == [each.date() if schedule.all_day else each for each in fired if each < until][: len(found)]
    assert len(found) >= len([each for each in fired if each < until])


@given(fixed())
def test_an_event_that_nobody_moved_is_the_schedule_it_came_from(schedule: Fixed) -> None:
    again = rescheduled(schedule, the_only(schedule).when)
    assert isinstance(again, Fixed)
    assert the_only(again) == the_only(schedule)


@given(fixed(st.just({"freq": "DAILY"}), st.sampled_from(["2026-01-31T09:00", ANCHOR])), st.integers(-300, 300))
def test_an_event_that_was_moved_in_the_calendar_is_moved_here_and_comes_back_the_same(
    schedule: Fixed, minutes: int
) -> None:
    when = the_only(schedule).when
    by = timedelta(minutes=minutes)
    moved = canonical_when(replace(when, start=when.start + by, end=when.end + by))
    again = rescheduled(schedule, moved)
    assert isinstance(again, Fixed)
    assert the_only(again).when == moved


def test_each_time_of_day_is_an_event_under_a_name_of_its_own() -> None:
    schedule = parsed(freq="DAILY", times=["08:00", "20:30"])
    found = events("Tablet", "half", schedule, None)
    assert {part: event.when.start for part, event in found.items()} == {
        "080000": datetime(2026, 12, 1, 8),
        "203000": datetime(2026, 12, 1, 20, 30),
    }
    assert {event.when.rrule for event in found.values()} == {"FREQ=DAILY"}
    assert side_of(schedule) is UNMOVABLE


def test_one_time_of_day_keeps_its_name_when_it_is_moved() -> None:
    for at in ("08:00", "09:30"):
        schedule = parsed(freq="DAILY", times=[at])
        assert list(events("Tablet", None, schedule, None)) == [""]
        assert side_of(schedule) is MOVABLE


def test_the_end_of_a_counted_series_is_that_of_each_time_of_day() -> None:
    schedule = parsed(freq="DAILY", times=["08:00", "20:00"], count=3)
    first, second = events("Tablet", None, schedule, None).values()
    ends = [each.when.rrule.partition("UNTIL=")[2] for each in (first, second) if each.when.rrule]
    assert ends == ["20261202T225959Z", "20261201T225959Z"]


def test_what_depends_on_a_completion_is_what_is_due_next() -> None:
    schedule = parsed(mode="after_completion", every={"n": 2, "unit": "day"})
    pending = datetime(2026, 12, 5, 7, tzinfo=UTC)
    event = the_only(schedule, pending)
    assert event.when == When(datetime(2026, 12, 5, 8), datetime(2026, 12, 5, 8) + SHOWN_FOR, BERLIN)
    assert events("Tablet", None, schedule, None) == {}
    assert side_of(schedule) is UNMOVABLE


def test_physical_hours_are_a_series_in_utc() -> None:
    raw = {"mode": "elapsed", "start_at": "2026-12-01T07:00:00Z", "every": {"n": 8, "unit": "hour"}}
    schedule = parse_schedule(raw, zones=Zones(BERLIN, BERLIN))
    event = the_only(schedule)
    assert (event.when.start, event.when.tzid) == (datetime(2026, 12, 1, 7), "UTC")
    assert event.when.rrule == "FREQ=HOURLY;INTERVAL=8"
    fired = [each.instant for each in expand(schedule, datetime(2026, 12, 1, tzinfo=UTC), 3)]
    assert fired == [datetime(2026, 12, 1, 7, tzinfo=UTC) + timedelta(hours=8 * n) for n in range(3)]


def test_a_single_reminder_is_a_moment_and_can_become_a_series() -> None:
    schedule = parsed(mode="once")
    assert isinstance(schedule, Once)
    event = the_only(schedule)
    assert (event.when.start, event.when.end, event.when.rrule) == (
        *(datetime(2026, 12, 1, 8), datetime(2026, 12, 1, 8, 15)),
        None,
    )
    weekly = rescheduled(schedule, replace(event.when, rrule="FREQ=WEEKLY"))
    assert isinstance(weekly, Fixed)
    assert the_only(weekly).when.rrule == "FREQ=WEEKLY"
    again = rescheduled(weekly, replace(the_only(weekly).when, rrule=None))
    assert isinstance(again, Once)


def test_a_reminder_of_whole_days_is_a_date() -> None:
    schedule = parsed(dtstart_local="2026-12-01", freq="MONTHLY")
    assert the_only(schedule).when == When(date(2026, 12, 1), date(2026, 12, 2), None, "FREQ=MONTHLY")


def test_another_zone_in_the_calendar_stays_with_the_reminder() -> None:
    schedule = parsed(freq="DAILY")
    assert isinstance(schedule, Fixed)
    moved = rescheduled(schedule, replace(the_only(schedule).when, tzid="America/New_York"))
    assert isinstance(moved, Fixed)
    assert (moved.tzid, moved.tz_mode) == ("America/New_York", "fixed")


@pytest.mark.parametrize("rrule", ["FREQ=DAILY;BYHOUR=8,20", "FREQ=MONTHLY;BYDAY=MO,TU", "FREQ=YEARLY;BYWEEKNO=3"])
def test_what_reminders_cannot_hold_is_refused(rrule: str) -> None:
    schedule = parsed(freq="DAILY")
    assert isinstance(schedule, Fixed)
    with pytest.raises(Invalid):
        rescheduled(schedule, replace(the_only(schedule).when, rrule=rrule))


def test_of_an_event_a_reminder_holds_words_and_times_alone() -> None:
    event = replace(the_only(parsed(freq="DAILY")), location="Main Street 1", alarms=(10,))
    held = project(event, MOVABLE)
    assert (held.location, held.alarms) == ("", ())
    assert Field.WHEN in UNMOVABLE.decides
