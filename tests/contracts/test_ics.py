"""The feed as calendar programs read it: parsed strictly, expanded by another library, compared with what we fire."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from icalendar import Calendar, Event

from core.errors import Invalid
from domain import recurrence
from domain.recurrence import Fixed, Schedule
from domain.schedule_json import Zones, parse_schedule
from integrations.calendar.ics import FeedReminder, feed
from tests.domain.test_recurrence_vectors import VECTORS, fixed

ZONES = Zones("Europe/Berlin", "Europe/Berlin")


def reminder(schedule: Schedule, **fields: Any) -> FeedReminder:
    plain = FeedReminder(
        id=UUID(int=7),
        title="Tablet",
        description=None,
        schedule=schedule,
        pending=None,
        left_out=frozenset(),
        changed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return replace(plain, **fields)


def parsed(*reminders: FeedReminder) -> Calendar:
    text = feed("Petfolio", reminders)
    assert all(len(line) <= 75 for line in text.split(b"\r\n"))
    return Calendar.from_ical(text, multiple=False)


def events(*reminders: FeedReminder) -> list[Event]:
    return list(parsed(*reminders).walk("VEVENT"))


def wall(value: date | datetime) -> datetime:
    """The wall-clock time of a property, naive."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else datetime.combine(value, time())


def nominals(event: Event, n: int) -> list[datetime]:
    """What another library makes of the event: its first wall-clock times."""
    begin = event.decoded("dtstart")
    if "rrule" not in event:
        return [wall(begin)]
    rule = dict(event["rrule"])
    (until,) = rule.pop("UNTIL", [None])
    text = ";".join(f"{name}={','.join(map(str, values))}" for name, values in rule.items())
    found = islice(rrulestr(text, dtstart=wall(begin)), n)
    if until is None:
        return list(found)
    zone = getattr(begin, "tzinfo", None)
    end = wall(until.astimezone(zone)) if isinstance(until, datetime) else wall(until)
    return [nominal for nominal in found if nominal <= end]


def expected(schedule: Fixed, n: int) -> list[datetime]:
    return list(islice(schedule.rule.nominals(schedule.start, schedule.times), n))


def check(schedule: Fixed) -> None:
    shown = sorted(nominal for event in events(reminder(schedule)) for nominal in nominals(event, 60))
    promised = expected(schedule, 60 * len(schedule.times))
    horizon = min(len(shown), len(promised), 40)
    assert shown[:horizon] == promised[:horizon]
    if schedule.rule.count is not None and schedule.rule.count <= 40:
        assert shown == promised


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["id"])
def test_a_calendar_program_shows_what_every_vector_fires(vector: dict[str, Any]) -> None:
    schedule = fixed(vector)
    assert isinstance(schedule, Fixed)
    check(schedule)


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
anchors = st.sampled_from(["2026-01-31T09:00", "2028-02-29T23:30", "2026-03-28T02:30", "2026-12-31T00:00"])
clocks = st.sampled_from([None, ["08:00"], ["00:15", "09:00", "23:45"]])


@settings(max_examples=300, deadline=None)
@given(rule=rules, end=ends, anchor=anchors, times=clocks, interval=st.integers(1, 5))
def test_a_calendar_program_shows_what_any_rule_fires(
    rule: dict[str, Any], end: dict[str, Any], anchor: str, times: list[str] | None, interval: int
) -> None:
    raw = {"mode": "fixed", "dtstart_local": anchor, **rule, **end, "interval": interval}
    if times:
        raw["times"] = times
    try:
        schedule = parse_schedule(raw, zones=ZONES)
    except Invalid:
        reject()  # a rule without any date
    assert isinstance(schedule, Fixed)
    check(schedule)


def test_every_zone_of_the_feed_is_described_in_it() -> None:
    daily = {"mode": "fixed", "dtstart_local": "2026-03-01T08:00", "freq": "DAILY", "tz_mode": "fixed"}
    calendar = parsed(
        *(reminder(parse_schedule(daily | {"tzid": zone}, zones=ZONES)) for zone in ("Asia/Tokyo", "America/New_York"))
    )
    assert {str(zone["tzid"]) for zone in calendar.walk("VTIMEZONE")} == {"Asia/Tokyo", "America/New_York"}


def test_all_day_is_a_date_and_an_interval_a_moment() -> None:
    all_day = parse_schedule(
        {"mode": "fixed", "dtstart_local": "2026-03-01", "freq": "WEEKLY", "count": 3}, zones=ZONES
    )
    elapsed = parse_schedule(
        {"mode": "elapsed", "start_at": "2026-03-01T07:00:00Z", "every": {"n": 8, "unit": "hour"}}, zones=ZONES
    )
    dated, moment = events(reminder(all_day), reminder(elapsed))
    assert dated.decoded("dtstart") == date(2026, 3, 1)
    assert dated["rrule"]["UNTIL"] == [date(2026, 3, 15)]
    assert moment.decoded("dtstart") == datetime(2026, 3, 1, 7, tzinfo=UTC)
    assert nominals(moment, 2)[1] == datetime(2026, 3, 1, 15)  # noqa: DTZ001 - a wall-clock time


def test_what_depends_on_a_completion_is_its_next_date_alone() -> None:
    schedule = parse_schedule(
        {"mode": "after_completion", "dtstart_local": "2026-03-01T08:00", "every": {"n": 1, "unit": "month"}},
        zones=ZONES,
    )
    pending = datetime(2026, 5, 4, 6, tzinfo=UTC)
    (event,) = events(reminder(schedule, pending=pending))
    assert event.decoded("dtstart") == pending
    assert "rrule" not in event
    assert events(reminder(schedule)) == []


def test_a_skipped_one_is_left_out() -> None:
    raw = {"mode": "fixed", "dtstart_local": "2026-03-01T08:00", "freq": "DAILY", "times": ["08:00", "20:00"]}
    morning, evening = events(reminder(parse_schedule(raw, zones=ZONES), left_out=frozenset({"2026-03-03T20:00"})))
    assert "exdate" not in morning
    assert evening["exdate"].dts[0].dt == datetime(2026, 3, 3, 20, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize("title", ["a\r\nBEGIN:VEVENT\r\n", "Grüße 🐈 " * 30, "x;y,z\\n", "END:VCALENDAR", "a" * 5_000])
def test_what_people_type_stays_in_its_line(title: str) -> None:
    once = parse_schedule({"mode": "once", "dtstart_local": "2026-03-01T08:00"}, zones=ZONES)
    (event,) = events(reminder(once, title=" ".join(title.split()), description=title))
    assert str(event["summary"]) == " ".join(title.split())


def test_instants_in_a_zone_are_those_that_fire() -> None:
    schedule = parse_schedule({"mode": "fixed", "dtstart_local": "2026-03-28T08:00", "freq": "DAILY"}, zones=ZONES)
    (event,) = events(reminder(schedule))
    zone = event.decoded("dtstart").tzinfo
    shown = [nominal.replace(tzinfo=zone).astimezone(UTC) for nominal in nominals(event, 3)]
    fired = recurrence.expand(schedule, datetime(2026, 3, 28, tzinfo=UTC) - timedelta(days=1), 3)
    assert shown == [occurrence.instant for occurrence in fired]
