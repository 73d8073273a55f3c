"""Rules of appointments: any rule means what dateutil makes of it, and has one form."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from dateutil.rrule import rruleset, rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import Invalid
from domain.appointment_rrule import format_rrule, parse
from domain.appointment_rule import END
from domain.recurrence import WEEKDAYS, resolve

ZONE = "Europe/Berlin"
START = datetime(2026, 1, 31, 9)
SHOWN = timedelta(days=1_500)
starts = st.datetimes(datetime(2019, 1, 1), datetime(2033, 12, 31)).map(lambda at: at.replace(second=0, microsecond=0))
weekdays = st.sampled_from(WEEKDAYS)


def some(numbers: st.SearchStrategy[int], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(numbers, min_size=1, max_size=most, unique=True).map(lambda found: ",".join(map(str, found)))


def without_zero(least: int, most: int) -> st.SearchStrategy[int]:
    return st.integers(least, most).filter(bool)


def maybe(data: st.DataObject, parts: dict[str, str], name: str, values: st.SearchStrategy[Any]) -> None:
    if data.draw(st.booleans()):
        parts[name] = str(data.draw(values))


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Rules of every shape that calendars send, in any order of their parts."""
    data = draw(st.data())
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = {"FREQ": freq}
    maybe(data, parts, "INTERVAL", st.integers(1, 5))
    maybe(data, parts, "WKST", weekdays)
    maybe(data, parts, "BYMONTH", some(st.integers(1, 12), 5))
    nth = st.tuples(st.sampled_from(["1", "2", "-1", "5"]), weekdays).map("".join)
    # Not both in one list: dateutil takes what is in both, RFC 5545 what is in one.
    days = weekdays if freq in ("DAILY", "WEEKLY") or draw(st.booleans()) else nth
    maybe(data, parts, "BYDAY", st.lists(days, min_size=1, max_size=4, unique=True).map(",".join))
    if freq != "WEEKLY":
        maybe(data, parts, "BYMONTHDAY", some(without_zero(-31, 31)))
    if freq == "YEARLY" and draw(st.integers(0, 3)) == 0:
        parts["BYYEARDAY"] = draw(some(without_zero(-366, 366)))
    if freq == "YEARLY" and draw(st.integers(0, 3)) == 0:
        parts["BYWEEKNO"], parts["BYDAY"] = draw(some(st.integers(2, 51))), draw(weekdays)
    maybe(data, parts, "BYHOUR", some(st.integers(0, 23)))
    maybe(data, parts, "BYMINUTE", some(st.integers(0, 59), 2))
    if len(parts) > 1 and draw(st.integers(0, 2)) == 0 and parts.keys() & {"BYDAY", "BYMONTHDAY", "BYMONTH"}:
        parts["BYSETPOS"] = draw(some(without_zero(-4, 4), 2))
    names = [name for name in parts if name != "FREQ"]
    return ";".join(f"{name}={parts[name]}" for name in ["FREQ", *draw(st.permutations(names))])


def by_dateutil(rule: str, start: datetime, until: datetime) -> list[datetime]:
    """From the start on, which RFC 5545 counts as the first and dateutil leaves out when the rule does not name it."""
    series = rruleset()
    # Its search for a rule that never comes true would go on to the year 9999.
    series.rrule(rrulestr(f"{rule};UNTIL={until:%Y%m%dT%H%M%S}", dtstart=start))
    series.rdate(start)
    return [at for at in series if at <= until]


def comes_true(rule: str, start: datetime) -> bool:
    """Whether dateutil finds an end in reasonable time: within a century or so, something has to happen."""
    return any(True for _ in islice(parse(rule, ZONE).between(start, start + timedelta(seconds=1), END), 1))


@given(rules(), starts)
def test_a_rule_names_what_dateutil_says(rule: str, start: datetime) -> None:
    until = start + SHOWN
    found = list(parse(rule, ZONE).between(start, start, until))
    assume(len(found) > 1 or comes_true(rule, start))
    # Of the week of the start dateutil counts positions from the start, RFC 5545 from the beginning of the week.
    assume(not ("WEEKLY" in rule and "BYSETPOS" in rule))
    assert found == by_dateutil(rule, start, until)


@given(rules(), starts, st.integers(0, 1_400), st.integers(0, 300))
def test_a_part_of_a_series_is_the_part_of_the_whole(rule: str, start: datetime, ahead: int, days: int) -> None:
    series, after = parse(rule, ZONE), start + timedelta(days=ahead)
    before = after + timedelta(days=days)
    whole = list(series.between(start, start, start + SHOWN + timedelta(days=300)))
    assert list(series.between(start, after, before)) == [at for at in whole if after <= at <= before]


@given(rules(), starts, st.integers(1, 40))
def test_so_many_times_counts_the_start(rule: str, start: datetime, count: int) -> None:
    until = start + SHOWN
    endless = list(parse(rule, ZONE).between(start, start, until))
    assert list(parse(f"{rule};COUNT={count}", ZONE).between(start, start, until)) == endless[:count]


@given(rules(), starts, st.integers(0, 1_000))
def test_until_is_inclusive_and_an_instant(rule: str, start: datetime, days: int) -> None:
    endless = list(parse(rule, ZONE).between(start, start, start + SHOWN))
    last = resolve(endless[min(days, len(endless) - 1)], ZONE)
    ended = parse(f"{rule};UNTIL={last:%Y%m%dT%H%M%SZ}", ZONE)
    assert list(ended.between(start, start, start + SHOWN)) == [at for at in endless if resolve(at, ZONE) <= last]


@given(rules(), starts)
def test_the_one_form_of_a_rule_is_its_own_and_means_the_same(rule: str, start: datetime) -> None:
    once = format_rrule(parse(rule, ZONE))
    assert format_rrule(parse(once, ZONE)) == once
    assert parse(once, ZONE) == parse(rule, ZONE)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("RRULE:INTERVAL=1;FREQ=WEEKLY;WKST=MO", "FREQ=WEEKLY"),
        ("FREQ=WEEKLY;BYDAY=FR,MO,+WE;INTERVAL=2;WKST=SU", None),
        ("freq=weekly;byday=FR,MO,MO", "FREQ=WEEKLY;BYDAY=MO,FR"),
        ("WKST=SU;BYDAY=-1FR,2MO;COUNT=5;FREQ=MONTHLY", "FREQ=MONTHLY;COUNT=5;BYDAY=2MO,-1FR;WKST=SU"),
        ("FREQ=YEARLY;BYSETPOS=1;BYMONTH=12,2;BYMONTHDAY=-1,1", "FREQ=YEARLY;BYMONTHDAY=-1,1;BYMONTH=2,12;BYSETPOS=1"),
        ("FREQ=DAILY;UNTIL=20260701T070000Z", "FREQ=DAILY;UNTIL=20260701T070000Z"),
        ("FREQ=DAILY;UNTIL=20260701T090000", "FREQ=DAILY;UNTIL=20260701T070000Z"),
        ("FREQ=DAILY;UNTIL=20260701", "FREQ=DAILY;UNTIL=20260701T215959Z"),
    ],
)
def test_forms_that_calendars_send(said: str, written: str | None) -> None:
    if written is None:
        with pytest.raises(Invalid):
            parse(said, ZONE)
    else:
        assert format_rrule(parse(said, ZONE)) == written


def test_whole_days_have_no_times_of_day() -> None:
    said = "FREQ=DAILY;BYHOUR=9;UNTIL=20260701T220000Z"
    assert format_rrule(parse(said, None)) == "FREQ=DAILY;UNTIL=20260701"


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("", "unsupported_part"),
        ("FREQ=HOURLY", "unsupported_freq"),
        ("COUNT=3", "unsupported_freq"),
        ("FREQ=DAILY;FREQ=DAILY", "rrule_syntax"),
        ("FREQ=DAILY;COUNT=", "rrule_syntax"),
        ("FREQ=DAILY;COUNT=0", "rrule_range"),
        ("FREQ=DAILY;COUNT=1,2", "rrule_syntax"),
        ("FREQ=DAILY;COUNT=" + "9" * 400, "rrule_syntax"),
        ("FREQ=DAILY;INTERVAL=-1", "rrule_range"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20260101", "rrule_parts"),
        ("FREQ=DAILY;UNTIL=20260231", "rrule_syntax"),
        ("FREQ=DAILY;UNTIL=00010101T000000Z", "rrule_parts"),
        ("FREQ=DAILY;UNTIL=99991231T235959Z", "rrule_parts"),
        ("FREQ=DAILY;BYDAY=2MO", "rrule_parts"),
        ("FREQ=WEEKLY;BYDAY=XX", "rrule_syntax"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "rrule_parts"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "rrule_range"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "rrule_range"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "rrule_parts"),
        ("FREQ=YEARLY;BYWEEKNO=3;BYDAY=1MO", "rrule_parts"),
        ("FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5", "rrule_parts"),
        ("FREQ=DAILY;WKST=1MO", "rrule_syntax"),
        ("FREQ=DAILY;RSCALE=GREGORIAN", "unsupported_part"),
        ("FREQ=DAILY;BYHOUR=٣", "rrule_syntax"),
        ("FREQ=DAILY" + ";" * 600, "rrule_syntax"),
    ],
)
def test_what_is_no_rule_of_ours_is_refused_by_name(rule: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(rule, ZONE)
    (problem,) = refused.value.errors
    assert (problem.pointer, problem.code) == ("/rrule", code)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=30;BYMONTH=2",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=9",
        "FREQ=YEARLY;BYWEEKNO=20;BYMONTH=12",
        "FREQ=DAILY;INTERVAL=9999;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_a_rule_that_never_comes_true_ends(rule: str) -> None:
    """To the last of all years; nothing but the start is found."""
    assert list(parse(rule, ZONE).between(START, START, END)) == [START]
    assert list(parse(f"{rule};COUNT=5", ZONE).between(START, START, END)) == [START]


def test_days_named_with_and_without_a_number_are_all_meant() -> None:
    found = parse("FREQ=MONTHLY;BYDAY=TU,-1MO", ZONE).between(START, datetime(2026, 6, 1), datetime(2026, 6, 30, 23))
    assert [at.day for at in found] == [2, 9, 16, 23, 29, 30]


def test_positions_of_a_week_are_those_of_the_whole_week() -> None:
    """The first of Monday and Wednesday is the Monday, which is over when the series begins on a Tuesday."""
    tuesday = datetime(2026, 6, 2, 9)
    found = parse("FREQ=WEEKLY;BYDAY=MO,WE;BYSETPOS=1", ZONE).between(tuesday, tuesday, datetime(2026, 6, 20))
    assert [at.day for at in found] == [2, 8, 15]


def test_a_date_that_does_not_exist_is_passed_over() -> None:
    found = parse("FREQ=MONTHLY", ZONE).between(START, START, START + timedelta(days=200))
    assert [at.month for at in found] == [1, 3, 5, 7]
    leap = datetime(2024, 2, 29, 9)
    assert [at.year for at in parse("FREQ=YEARLY", ZONE).between(leap, leap, datetime(2040, 1, 1))] == [
        2024,
        2028,
        2032,
        2036,
    ]


def test_weeks_of_the_year_without_a_weekday_have_that_of_the_start() -> None:
    start = datetime(2026, 1, 1, 9)
    found = list(parse("FREQ=YEARLY;BYWEEKNO=1,-1", ZONE).between(start, start, datetime(2028, 1, 1)))
    assert [f"{at:%G-W%V-%u}" for at in found] == ["2026-W01-4", "2026-W53-4", "2027-W01-4", "2027-W52-4"]


def test_until_in_a_gap_keeps_what_the_gap_moves_before_it() -> None:
    """02:30 is 03:30 on that day, behind 03:00, which is in time."""
    start = datetime(2026, 3, 28, 2, 30)
    rule = parse("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30;UNTIL=20260329T011500Z", ZONE)
    found = list(rule.between(start, datetime(2026, 3, 29), datetime(2026, 3, 30)))
    assert found == [datetime(2026, 3, 29, 2), datetime(2026, 3, 29, 3)]
    assert all(resolve(at, ZONE) <= datetime(2026, 3, 29, 1, 15, tzinfo=UTC) for at in found)
