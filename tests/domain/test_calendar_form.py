"""The one form of an event: what providers and people write in several ways is equal, what differs is not."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import islice

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import Event, Override, When
from domain.calendar_form import (
    RuleUnreadable,
    canonical,
    canonical_rrule,
    canonical_when,
    line,
    order,
    rule_parts,
    shifted,
    text,
    zone_name,
)
from domain.recurrence import resolve
from tests.contracts.calendar_strategies import events
from tests.domain.test_appointment_rule import by_dateutil, comes_true, rules, starts

BERLIN = "Europe/Berlin"
START = datetime(2026, 12, 3, 9)
"""A Thursday."""


@pytest.mark.parametrize(
    "said",
    [
        "FREQ=WEEKLY",
        "freq=weekly",
        "RRULE:FREQ=WEEKLY;INTERVAL=1",
        "INTERVAL=1;FREQ=WEEKLY;BYDAY=TH",
        "FREQ=WEEKLY;WKST=MO;BYDAY=TH;",
        "FREQ=WEEKLY;WKST=SU",
        "FREQ=WEEKLY;X-NOTE=1",
    ],
)
def test_one_weekly_rule_has_one_form(said: str) -> None:
    assert canonical_rrule(said, START, BERLIN) == "FREQ=WEEKLY"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("FREQ=MONTHLY", "FREQ=MONTHLY;BYMONTHDAY=3"),
        ("FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=3"),
        ("FREQ=MONTHLY;BYDAY=1TH", "FREQ=MONTHLY;BYDAY=+1TH"),
        ("FREQ=MONTHLY;BYDAY=1TH", "FREQ=MONTHLY;BYDAY=TH;BYSETPOS=1"),
        ("FREQ=MONTHLY;BYDAY=-1TH", "FREQ=MONTHLY;BYSETPOS=-1;BYDAY=TH"),
        ("FREQ=WEEKLY;BYDAY=MO,TH", "FREQ=WEEKLY;BYDAY=TH,MO,TH"),
        ("FREQ=MONTHLY;BYMONTHDAY=3,17", "FREQ=MONTHLY;BYMONTHDAY=17,03,3"),
    ],
)
def test_rules_that_mean_the_same_are_equal(one: str, other: str) -> None:
    assert canonical_rrule(one, START, BERLIN) == canonical_rrule(other, START, BERLIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,TH", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,TH;WKST=SU"),
        ("FREQ=YEARLY;BYMONTHDAY=3", "FREQ=YEARLY"),
        ("FREQ=YEARLY;BYWEEKNO=49;BYMONTH=12", "FREQ=YEARLY;BYWEEKNO=49"),
        ("FREQ=MONTHLY;BYDAY=1TH", "FREQ=MONTHLY;BYDAY=TH"),
        ("FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=1", "FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=1;WKST=TU"),
        ("FREQ=WEEKLY;COUNT=3", "FREQ=WEEKLY;COUNT=4"),
    ],
)
def test_rules_that_mean_something_else_differ(one: str, other: str) -> None:
    assert canonical_rrule(one, START, BERLIN) != canonical_rrule(other, START, BERLIN)


@given(rules(), starts)
def test_the_form_of_a_rule_names_what_the_rule_names_and_is_its_own_form(rule: str, start: datetime) -> None:
    form = canonical_rrule(rule, start, BERLIN)
    assert canonical_rrule(form, start, BERLIN) == form
    if comes_true(rule, start):
        until = start + timedelta(days=800)
        assert by_dateutil(form, start, until) == by_dateutil(rule, start, until)


@pytest.mark.parametrize(
    "until",
    ["20261217", "20261217T225959Z", "20261217T080000Z", "20261217T090000", "20261223T235959", "20261224T075959Z"],
)
def test_every_way_to_say_when_a_series_ends_ends_it_there(until: str) -> None:
    """A date, the last occurrence, the end of a day, and the last instant before the next occurrence."""
    form = canonical_rrule(f"FREQ=WEEKLY;UNTIL={until}", START, BERLIN)
    endless, _, last = form.partition(";UNTIL=")
    until_utc = datetime.strptime(last, "%Y%m%dT%H%M%S%z")
    found = rrulestr(endless, dtstart=START).between(START, datetime(2027, 1, 1), inc=True)
    ours = [each for each in found if resolve(each, BERLIN) <= until_utc]
    assert ours == [START + timedelta(weeks=n) for n in range(3)]
    assert canonical_rrule(form, START, BERLIN) == form


def test_the_last_day_of_a_series_of_days_is_a_date() -> None:
    first = date(2026, 12, 3)
    assert canonical_rrule("FREQ=DAILY;UNTIL=20261210T000000Z", first, None) == "FREQ=DAILY;UNTIL=20261210"


@pytest.mark.parametrize("tzid", [BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo"])
def test_the_last_day_is_one_on_the_clock_of_the_series(tzid: str) -> None:
    form = canonical_rrule("FREQ=DAILY;UNTIL=20270401", datetime(2027, 3, 1, 23, 30), tzid)
    assert canonical_rrule(form, datetime(2027, 3, 1, 23, 30), tzid) == form
    assert canonical_rrule("FREQ=DAILY;UNTIL=20270401T233000", datetime(2027, 3, 1, 23, 30), tzid) == form


@pytest.mark.parametrize(
    "said",
    [
        *("", "INTERVAL=2", "FREQ", "FREQ=", "FREQ=DAILY;FREQ=DAILY", "FREQ=DAILY;NEW=1", "FREQ=DAILY;INTERVAL=x"),
        *(
            "FREQ=DAILY;UNTIL=tomorrow",
            "FREQ=DAILY;UNTIL=20261301",
            "FREQ=MONTHLY;BYDAY=XX",
            "FREQ=MONTHLY;BYMONTHDAY=a",
        ),
    ],
)
def test_what_is_no_rule_is_refused(said: str) -> None:
    with pytest.raises(RuleUnreadable):
        canonical_rrule(said, START, BERLIN)


def test_the_parts_of_a_rule_are_read_without_what_nobody_knows() -> None:
    assert rule_parts("RRULE:freq=daily;x-mine=2;count=3") == {"FREQ": "DAILY", "COUNT": "3"}


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("US/Eastern", "America/New_York"),
        ("GB", "Europe/London"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Etc/UTC", "UTC"),
        ("Zulu", "UTC"),
        ("Europe/Stockholm", "Europe/Stockholm"),
        ("Europe/Vienna", "Europe/Vienna"),
        ("Mars/Olympus", "Mars/Olympus"),
    ],
)
def test_zones_have_the_name_that_people_know(said: str, name: str) -> None:
    assert zone_name(said) == name
    assert zone_name(name) == name


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("a  \nb\t\n", "a\nb"),
        ("\n\na\n\nb\n\n", "a\n\nb"),
        ("  a", "  a"),
        ("Cafe\u0301", "Café"),
        (" \n ", ""),
    ],
)
def test_what_servers_do_to_several_lines_is_no_change(said: str, kept: str) -> None:
    assert text(said) == kept == text(text(said))


def test_one_line_stays_one() -> None:
    assert line("  Vet:\r\n  Milo\tand  Bo ") == "Vet: Milo and Bo"


def test_exceptions_are_sorted_once_each_and_none_is_left_out_and_changed() -> None:
    points = [START + timedelta(weeks=week) for week in range(4)]
    changed = [Override(each, each, each + timedelta(hours=2), "  Late ") for each in points]
    when = When(START, START + timedelta(hours=1), "US/Eastern", "FREQ=WEEKLY")
    left_out = (points[2], points[0].replace(microsecond=5), points[2])
    event = canonical(Event("Vet", when, alarms=(10, 60, 10), exdates=left_out, overrides=tuple(reversed(changed))))
    assert event.exdates == (points[0], points[2])
    assert [(each.original, each.title) for each in event.overrides] == [(points[1], "Late"), (points[3], "Late")]
    assert (event.when.tzid, event.alarms) == ("America/New_York", (10, 60))


def test_what_is_no_series_has_no_exceptions() -> None:
    when = When(START, START + timedelta(hours=1), BERLIN)
    one = Override(START, START, START + timedelta(hours=2), "Late")
    event = canonical(Event("Vet", when, exdates=(START,), overrides=(one,)))
    assert (event.exdates, event.overrides) == ((), ())


def test_whole_days_are_on_no_clock() -> None:
    when = canonical_when(When(date(2026, 12, 3), date(2026, 12, 4), BERLIN))
    assert when == When(date(2026, 12, 3), date(2026, 12, 4), None)


def test_dates_are_shifted_by_whole_days_and_sorted_among_times() -> None:
    assert shifted(date(2026, 12, 3), timedelta(days=1, hours=5)) == date(2026, 12, 4)
    assert shifted(START, timedelta(hours=5)) == START.replace(hour=14)
    assert order(date(2026, 12, 3)) < order(START)


@given(events())
def test_the_form_of_an_event_is_its_own_form(event: Event) -> None:
    assert canonical(event) == event
    crlf = replace(event, notes=event.notes.replace("\n", " \r\n") + "\r\n")
    assert canonical(crlf) == event


@given(st.sampled_from(["FREQ=MONTHLY", "FREQ=YEARLY"]), st.integers(1, 28), st.integers(1, 12))
def test_what_a_rule_repeats_of_its_start_is_left_out(rule: str, day: int, month: int) -> None:
    start = datetime(2026, month, day, 9)
    said = f"{rule};BYMONTHDAY={day}" + (f";BYMONTH={month}" if "YEARLY" in rule else "")
    assert canonical_rrule(said, start, BERLIN) == rule
    found, same = (list(islice(rrulestr(each, dtstart=start), 5)) for each in (said, rule))
    assert found == same
