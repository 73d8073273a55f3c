"""RRULE ⇄ Graph's pattern: what can be said comes back as it was, what cannot is refused."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from domain.calendar import Point, When
from domain.calendar_form import canonical_rrule
from integrations.calendar.errors import UNSUPPORTED_RECURRENCE
from integrations.calendar.graph_recurrence import recurrence, rrule, said_otherwise
from integrations.calendar.protocol import EventRejected

SAID = [
    ("2027-01-01", "FREQ=DAILY", {"type": "daily"}),
    ("2027-01-01", "FREQ=DAILY;INTERVAL=10;COUNT=5", {"type": "daily", "interval": 10}),
    ("2027-01-01", "FREQ=WEEKLY", {"type": "weekly", "daysOfWeek": ["friday"]}),
    ("2027-01-04", "FREQ=WEEKLY;BYDAY=MO,TH", {"type": "weekly", "daysOfWeek": ["monday", "thursday"]}),
    ("2027-01-04", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU", {"type": "weekly", "firstDayOfWeek": "monday"}),
    ("2027-01-04", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU", {"type": "weekly", "firstDayOfWeek": "sunday"}),
    ("2027-01-05", "FREQ=MONTHLY", {"type": "absoluteMonthly", "dayOfMonth": 5}),
    ("2027-01-28", "FREQ=MONTHLY;INTERVAL=3", {"type": "absoluteMonthly", "dayOfMonth": 28, "interval": 3}),
    ("2027-01-31", "FREQ=MONTHLY;BYMONTHDAY=-1", {"type": "absoluteMonthly", "dayOfMonth": 31}),
    ("2027-02-28", "FREQ=MONTHLY;BYMONTHDAY=-1", {"type": "absoluteMonthly", "dayOfMonth": 31}),
    ("2027-01-30", "FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1", {"type": "absoluteMonthly", "dayOfMonth": 30}),
    ("2027-01-16", "FREQ=MONTHLY;BYDAY=3SA", {"type": "relativeMonthly", "index": "third"}),
    ("2027-01-29", "FREQ=MONTHLY;BYDAY=-1FR", {"type": "relativeMonthly", "index": "last", "daysOfWeek": ["friday"]}),
    ("2027-01-01", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", {"type": "relativeMonthly", "index": "first"}),
    ("2027-01-31", "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=-1", {"type": "relativeMonthly", "index": "last"}),
    ("2027-05-05", "FREQ=YEARLY", {"type": "absoluteYearly", "dayOfMonth": 5, "month": 5}),
    ("2027-05-31", "FREQ=YEARLY", {"type": "absoluteYearly", "dayOfMonth": 31, "month": 5}),
    ("2028-02-29", "FREQ=YEARLY;BYMONTHDAY=28,29;BYMONTH=2;BYSETPOS=-1", {"dayOfMonth": 29, "month": 2}),
    ("2027-05-09", "FREQ=YEARLY;INTERVAL=2;BYDAY=2SU;BYMONTH=5", {"type": "relativeYearly", "month": 5}),
]
"""First day, rule, and what its pattern has."""

UNSAID = [
    ("2027-01-31", "FREQ=MONTHLY"),  # RFC 5545 leaves short months out, Outlook does not
    ("2027-01-30", "FREQ=MONTHLY;BYMONTHDAY=30"),
    ("2028-02-29", "FREQ=YEARLY"),
    ("2027-01-01", "FREQ=MONTHLY;BYDAY=1FR,3FR"),
    ("2027-01-01", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1"),
    ("2027-01-29", "FREQ=MONTHLY;BYDAY=5FR"),
    ("2027-01-22", "FREQ=MONTHLY;BYDAY=-2FR"),
    ("2027-01-01", "FREQ=MONTHLY;BYDAY=FR"),
    ("2027-01-01", "FREQ=MONTHLY;BYMONTHDAY=1,15"),
    ("2027-01-01", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=1,2,3,4,5,6,7"),
    ("2027-01-01", "FREQ=DAILY;BYDAY=MO,FR"),
    ("2027-01-01", "FREQ=WEEKLY;BYMONTH=1"),
    ("2027-01-10", "FREQ=YEARLY;BYDAY=2SU"),
    ("2027-01-05", "FREQ=YEARLY;BYMONTH=1,7"),
    ("2027-01-04", "FREQ=YEARLY;BYWEEKNO=1"),
    ("2027-01-01", "FREQ=YEARLY;BYYEARDAY=1"),
    ("2027-01-01", "FREQ=HOURLY"),
    ("2027-01-05", "FREQ=WEEKLY;BYDAY=MO"),  # the start is no Monday: it counts here, and moves there
    ("2027-01-06", "FREQ=MONTHLY;BYMONTHDAY=5"),
    ("2027-01-09", "FREQ=MONTHLY;BYDAY=3SA"),
    ("2027-04-09", "FREQ=YEARLY;BYDAY=2SU;BYMONTH=5"),
]


def series(first: Point, rule: str) -> When:
    """In canonical form: an hour in Berlin, or a day."""
    timed = isinstance(first, datetime)
    length, tzid = (timedelta(hours=1), "Europe/Berlin") if timed else (timedelta(days=1), None)
    return When(first, first + length, tzid, canonical_rrule(rule, first, tzid))


def starts(text: str) -> list[Point]:
    """Days, and times whose UTC date is the day before or after."""
    day = date.fromisoformat(text)
    return [day, *(datetime.fromisoformat(f"{text}T{time}") for time in ("00:30", "12:00", "23:30"))]


@pytest.mark.parametrize(("first", "rule", "pattern"), SAID)
@pytest.mark.parametrize("ending", ["", ";COUNT=7", ";UNTIL=20291231"])
def test_a_rule_that_can_be_said_comes_back(first: str, rule: str, pattern: dict[str, Any], ending: str) -> None:
    if ending and "COUNT" in rule:
        ending = ""
    for start in starts(first):
        when = series(start, rule + ending)
        said = recurrence(when)
        assert pattern.items() <= said["pattern"].items()
        assert said["range"]["startDate"] == first
        assert canonical_rrule(rrule(said, start), start, when.tzid) == when.rrule


@pytest.mark.parametrize(("first", "rule"), UNSAID)
def test_a_rule_that_cannot_be_said_is_refused(first: str, rule: str) -> None:
    for start in starts(first):
        with pytest.raises(EventRejected) as refused:
            recurrence(series(start, rule))
        assert refused.value.problem_code == UNSUPPORTED_RECURRENCE


def test_the_end_is_the_last_day_on_the_clock_of_the_series() -> None:
    when = series(datetime.fromisoformat("2027-03-01T00:30"), "FREQ=DAILY;UNTIL=20270309T233000Z")
    assert recurrence(when)["range"] == {
        "type": "endDate",
        "startDate": "2027-03-01",
        "endDate": "2027-03-10",
        "recurrenceTimeZone": "Europe/Berlin",
    }


def test_outlook_s_last_days_of_short_months_are_said_as_such() -> None:
    pattern = {"type": "absoluteYearly", "interval": 1, "month": 4, "dayOfMonth": 31}
    said = {"pattern": pattern, "range": {"type": "noEnd", "startDate": "2027-04-30"}}
    assert rrule(said, date(2027, 4, 30)) == "FREQ=YEARLY;INTERVAL=1;BYMONTHDAY=30;BYMONTH=4"
    pattern["type"], pattern["dayOfMonth"] = "absoluteMonthly", 29
    assert rrule(said, date(2027, 4, 29)) == "FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY=28,29;BYSETPOS=-1"


@pytest.mark.parametrize("broken", [{"type": "hourly"}, {"type": "daily"}])
def test_a_pattern_of_an_unknown_kind_is_refused(broken: dict[str, Any]) -> None:
    extent = {"type": "noEnd" if broken["type"] == "hourly" else "someday"}
    with pytest.raises(EventRejected):
        rrule({"pattern": {"interval": 1, **broken}, "range": extent}, date(2027, 1, 1))


def test_other_words_for_a_recurrence_mean_the_same() -> None:
    for first, rule, _ in SAID:
        start = date.fromisoformat(first)
        said = recurrence(series(start, rule))
        other = said_otherwise(said)
        assert canonical_rrule(rrule(other, start), start, None) == canonical_rrule(rrule(said, start), start, None)
        assert other != said or "INTERVAL=2" in rule
