"""What a schedule may not say: every code of recurrence.md §3.2, the field it points at, and several at once."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FieldProblem, Invalid
from domain.recurrence import AfterCompletion, Elapsed, Fixed, Once, Schedule, expand
from domain.schedule_json import from_shorthand, from_stored, parse_schedule, to_json
from tests.domain.recurrence_kit import SERVER, fixed, schedule_of

FIXED: dict[str, Any] = {"mode": "fixed", "dtstart_local": "2026-01-31T09:00", "freq": "DAILY"}
WEEKLY, MONTHLY, YEARLY = (FIXED | {"freq": freq} for freq in ("WEEKLY", "MONTHLY", "YEARLY"))
RRULE: dict[str, Any] = {"mode": "fixed", "dtstart_local": "2026-01-31T09:00"}
ONCE: dict[str, Any] = {"mode": "once", "dtstart_local": "2026-01-31T09:00"}
DONE: dict[str, Any] = {
    "mode": "after_completion",
    "dtstart_local": "2026-01-31T09:00",
    "every": {"n": 1, "unit": "month"},
}
ELAPSED: dict[str, Any] = {
    "mode": "elapsed",
    "start_at": "2026-03-28T21:00:00Z",
    "every": {"n": 8, "unit": "hour"},
}

Case = tuple[dict[str, Any], str, str]


def on(field: str, base: dict[str, Any], code: str, *values: Any) -> list[Case]:
    """`base` with each of these values in the field is refused there with the code."""
    return [(base | {field: value}, field, code) for value in values]


def text(code: str, *rules: str) -> list[Case]:
    return on("rrule", RRULE, code, *rules)


CASES: list[Case] = [
    *on("freq", FIXED, "unsupported_freq", "HOURLY", "MINUTELY", "SECONDLY", "daily", "FORTNIGHTLY", 1, ["DAILY"]),
    *text("unsupported_freq", "FREQ=HOURLY", "FREQ=MINUTELY;INTERVAL=5", "FREQ=SECONDLY"),
    *text("unsupported_part", *(f"FREQ=MONTHLY;{part}=1" for part in (
        "BYSETPOS", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYHOUR", "BYMINUTE", "BYSECOND", "RSCALE", "SKIP", "X-EVERY",
    ))),
    *text("unsupported_part", "FREQ=DAILY\nRDATE:20260101T080000", "FREQ=DAILY\r\nEXDATE:20260101"),
    *text("unsupported_part", "FREQ=DAILY\nEXRULE:FREQ=DAILY", "EXDATE;TZID=UTC:20260101T080000\nRRULE:FREQ=DAILY"),
    *text("unsupported_part", "RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "FREQ=DAILY;RRULE:FREQ=WEEKLY"),
    *on("byday", MONTHLY, "unsupported_nth", ["5SA"], ["0MO"], ["-2FR"], ["123456MO"], ["1SA", "3SA"], ["MO"]),
    *on("byday", WEEKLY, "unsupported_nth", ["1MO"], ["MO", "2TU"], ["0MO"]),
    *text("unsupported_nth", "FREQ=MONTHLY;BYDAY=5MO", "FREQ=WEEKLY;BYDAY=+1MO", "FREQ=MONTHLY;BYDAY=MO,TU"),
    *on("byday", FIXED, "byday_not_allowed", ["MO"]),
    *on("byday", YEARLY, "byday_not_allowed", ["1MO"]),
    *on("byday", WEEKLY, "byday_invalid", [], "MO", ["XX"], ["MO", "MO"], [1], {"MO": 1}, ["mo"]),
    *on("bymonthday", FIXED, "bymonthday_not_allowed", 1),
    *on("bymonthday", YEARLY, "bymonthday_not_allowed", 1),
    *on("bymonthday", MONTHLY | {"byday": ["1MO"]}, "bymonthday_not_allowed", 1),
    *text("bymonthday_not_allowed", "FREQ=WEEKLY;BYMONTHDAY=1", "FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=3"),
    *on("bymonthday", MONTHLY, "several_monthdays", [1, 15], [1]),
    *text("several_monthdays", "FREQ=MONTHLY;BYMONTHDAY=1,15"),
    *on("bymonthday", MONTHLY, "monthday_range", 0, 32, -2, 1.5, "1", True, False),
    *text("monthday_range", "FREQ=MONTHLY;BYMONTHDAY=32", "FREQ=MONTHLY;BYMONTHDAY=0"),
    (FIXED | {"count": 3, "until": "2026-03-01"}, "until", "count_and_until"),
    (DONE | {"count": 3, "until": "2026-03-01"}, "until", "count_and_until"),
    *text("count_and_until", "FREQ=DAILY;COUNT=3;UNTIL=20260301"),
    *on("count", FIXED, "count_range", 0, -1, 10_000, 1.0, "3", True),
    *on("count", DONE, "count_range", 0),
    *text("count_range", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=99999999"),
    *on("interval", FIXED, "interval_range", 0, 1000, -3, "2", 1.5),
    *text("interval_range", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=1000000"),
    *on("until", FIXED, "until_before_start", "2026-01-30"),
    *on("until", DONE, "until_before_start", "2026-01-30"),
    *text("until_before_start", "FREQ=DAILY;UNTIL=20260130"),
    *on("times", FIXED, "times_invalid", [], ["08:00"] * 2, ["08:00", "08:00:00"], ["24:00"], ["08:00:00.5"]),
    *on("times", FIXED, "times_invalid", ["08:00Z"], ["08:00+01:00"], ["8:00"], "08:00", [8], {"08:00": 1}),
    *on("times", FIXED, "times_invalid", [f"{hour:02}:00" for hour in range(13)]),
    *on("times", DONE, "times_invalid", ["08:00", "20:00"], []),
    *on("dtstart_local", FIXED, "dtstart_must_be_local", "2026-01-31T09:00Z", "2026-01-31T09:00+01:00"),
    *on("dtstart_local", ONCE, "dtstart_must_be_local", "2026-01-31T09:00:00.5", "2026-02-30T09:00", "1969-12-31"),
    *on("dtstart_local", ONCE, "dtstart_must_be_local", "2200-01-01T00:00", "2026-W01-1", "20260131T0900", 1, ""),
    *on("dtstart_local", ONCE, "dtstart_must_be_local", "\u0662026-01-01", "2026-01-31T24:00", "2026-01-31 09:00"),
    *on("tzid", FIXED, "unknown_zone", "Mars/Base", "europe/berlin", "America", "tzdata.zi", "../etc/passwd", 1),
    *on("tzid", FIXED, "unknown_zone", "localtime", "UTC\0", ["UTC"], ""),
    *on("tzid", FIXED | {"tz_mode": "follow_user"}, "unknown_zone", "UTC+1"),
    (FIXED | {"tz_mode": "fixed"}, "tzid", "tzid_required"),
    (FIXED | {"tz_mode": "pet_home", "tzid": "Europe/Berlin"}, "tzid", "tzid_read_only"),
    (ONCE | {"tz_mode": "follow_user", "tzid": SERVER.home}, "tzid", "tzid_read_only"),
    *on("tz_mode", FIXED, "tz_mode_invalid", "home", 1, ["fixed"]),
    *[(ELAPSED | {field: value}, field, "field_not_allowed_in_mode") for field, value in {
        "times": ["08:00"], "tzid": "UTC", "tz_mode": "fixed", "dtstart_local": "2026-01-31", "freq": "DAILY",
        "count": 3, "rrule": "FREQ=DAILY",
    }.items()],
    *[(ONCE | {field: value}, field, "field_not_allowed_in_mode") for field, value in {
        "times": ["08:00"], "freq": "DAILY", "grace_minutes": 5, "until": "2026-02-01",
    }.items()],
    (DONE | {"grace_minutes": 5}, "grace_minutes", "field_not_allowed_in_mode"),
    (DONE | {"interval": 2}, "interval", "field_not_allowed_in_mode"),
    (FIXED | {"every": {"n": 1, "unit": "day"}}, "every", "field_not_allowed_in_mode"),
    (FIXED | {"start_at": "2026-01-01T00:00:00Z"}, "start_at", "field_not_allowed_in_mode"),
    (FIXED | {"dtstart_local": "2026-01-31", "times": ["08:00"]}, "times", "field_not_allowed_in_mode"),
    *[(base | {field: None}, field, "missing_field") for base, fields in (
        (FIXED, ("mode", "dtstart_local", "freq")), (ONCE, ("dtstart_local",)), (DONE, ("dtstart_local", "every")),
        (ELAPSED, ("start_at", "every")),
    ) for field in fields],
    (FIXED | {"rrule": "FREQ=DAILY"}, "rrule", "rrule_and_fields"),
    (RRULE | {"rrule": "FREQ=DAILY", "count": 3}, "rrule", "rrule_and_fields"),
    (FIXED | {"rrule": "FREQ=WEEKLY", "version": 1}, "rrule", "rrule_and_fields"),
    *text("rrule_syntax", "", "DAILY", "FREQ", "FREQ=", "INTERVAL=2", "FREQ=DAILY;", ";FREQ=DAILY"),
    *text("rrule_syntax", "FREQ=DAILY;;COUNT=3", "FREQ=DAILY\n", "FREQ = DAILY"),
    *text("rrule_syntax", "FREQ=DAILY;FREQ=DAILY", "FREQ=DAILY;COUNT=3;COUNT=3", "FREQ=DAILY;COUNT=x", "freq=DAILY"),
    *text("rrule_syntax", "FREQ=WEEKLY;BYDAY=", "FREQ=WEEKLY;BYDAY=MO,,TU", "FREQ=WEEKLY;WKST=XX", "FREQ=DAILY;" * 99),
    *on("rrule", RRULE, "rrule_syntax", 1, ["FREQ=DAILY"], {}),
    *text("until_must_be_date", "FREQ=DAILY;UNTIL=20261231T000000Z", "FREQ=DAILY;UNTIL=20261231T0000"),
    *text("until_must_be_date", "FREQ=DAILY;UNTIL=x", "FREQ=DAILY;UNTIL=20260230"),
    *on("until", FIXED, "until_must_be_date", "2026-12-31T00:00", "20261231", "2026-02-30", "2026-W53-1", 20261231),
    (FIXED | {"dtstart_local": "2026-01-31T12:00", "times": ["08:00"], "until": "2026-01-31"}, "", "empty_rule"),
    (WEEKLY | {"byday": ["MO"], "until": "2026-01-31"}, "", "empty_rule"),
    *on("every", DONE, "every_invalid", {"n": 0, "unit": "day"}, {"n": 1000, "unit": "day"}, {"n": 1, "unit": "hour"}),
    *on("every", DONE, "every_invalid", {"n": 1}, {"n": True, "unit": "day"}, {"n": 1, "unit": ["day"]}, "1 day", 3),
    *on("every", ELAPSED, "every_invalid", {"n": 14, "unit": "minute"}, {"n": 8785, "unit": "hour"}),
    *on("every", ELAPSED, "every_invalid", {"n": 1, "unit": "day"}),
    *on("every", ELAPSED, "every_invalid", {"n": 10**30, "unit": "hour"}, {"n": 1, "unit": "hour", "x": 1}),
    *on("start_at", ELAPSED, "start_at_invalid", "2026-03-28T21:00:00", "2026-03-28", "2026-W13-6T21:00Z", 1, "now"),
    *on("start_at", ELAPSED, "start_at_invalid", "2026-02-30T21:00:00Z", "9999-12-31T23:59:59Z", "2026-03-28T21:60Z"),
    *on("start_at", ELAPSED, "start_at_invalid", "1970-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
    *on("grace_minutes", FIXED, "grace_range", -1, 10_081, 1.5, "5"),
    *on("grace_minutes", ELAPSED, "grace_range", -1),
    *on("wkst", WEEKLY, "weekday_invalid", "XX", 0, "Monday"),
    *on("mode", FIXED, "unknown_mode", "cron", 1, ["fixed"]),
    *on("colour", FIXED, "unknown_field", "red"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "field", "code"), CASES)
def test_it_is_refused_at_the_field_with_its_own_code(raw: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        schedule_of(raw)
    pointers = {(problem.pointer, problem.code) for problem in refused.value.errors}
    assert (f"/schedule/{field}".removesuffix("/"), code) in pointers
    assert all(problem.detail for problem in refused.value.errors)


def test_every_code_of_the_table_is_among_them() -> None:
    table = (
        "unsupported_freq unsupported_part unsupported_nth byday_not_allowed bymonthday_not_allowed several_monthdays"
        " monthday_range count_and_until count_range interval_range until_before_start times_invalid"
        " dtstart_must_be_local unknown_zone tzid_required tzid_read_only field_not_allowed_in_mode missing_field"
        " rrule_and_fields rrule_syntax until_must_be_date empty_rule"
    )
    assert set(table.split()) <= {code for _, _, code in CASES}


def test_hours_are_sent_to_the_mode_that_can() -> None:
    with pytest.raises(Invalid) as refused:
        schedule_of(FIXED | {"freq": "HOURLY"})
    assert "elapsed" in refused.value.errors[0].detail


def test_everything_wrong_is_named_in_one_answer() -> None:
    raw = FIXED | {"interval": 0, "count": 0, "times": [], "tzid": "Mars/Base", "every": 1, "dtstart_local": "soon"}
    with pytest.raises(Invalid) as refused:
        schedule_of(raw)
    assert {problem.pointer.removeprefix("/schedule/") for problem in refused.value.errors} == {
        "interval", "count", "times", "tzid", "every", "dtstart_local"
    }  # fmt: skip


def test_several_parts_of_an_rrule_are_named_in_one_answer() -> None:
    with pytest.raises(Invalid) as refused:
        schedule_of(RRULE | {"rrule": "FREQ=MONTHLY;BYSETPOS=1;BYMONTHDAY=1,2;UNTIL=20260101;COUNT=x"})
    codes = [problem.code for problem in refused.value.errors]
    assert codes == ["unsupported_part", "several_monthdays", "rrule_syntax"]
    assert {problem.pointer for problem in refused.value.errors} == {"/schedule/rrule"}


def test_a_million_wrong_fields_are_not_worth_a_million_sentences() -> None:
    with pytest.raises(Invalid) as refused:
        schedule_of(FIXED | {f"/~{'x' * 200}{number}": 1 for number in range(1000)})
    assert len(refused.value.errors) == 50
    assert all(p.pointer.startswith("/schedule/~1~0x") and len(p.pointer) < 90 for p in refused.value.errors)


def test_the_pointer_says_where_the_schedule_stood() -> None:
    with pytest.raises(Invalid) as refused:
        parse_schedule(FIXED | {"count": 0}, zones=SERVER, pointer="/items/3/schedule")
    assert refused.value.errors[0].pointer == "/items/3/schedule/count"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
field_names = st.sampled_from(
    "mode dtstart_local tzid tz_mode freq interval byday bymonthday wkst times count until every start_at grace_minutes"
    " rrule version tzdata".split()
)
plausible = st.sampled_from(
    [
        *(base[field] for base in (FIXED, DONE, ELAPSED) for field in base),
        *("once", "2026-01-31", "UTC", "fixed", "WEEKLY", "FREQ=MONTHLY;BYMONTHDAY=-1", ["MO"], ["-1SU"], ["08:00"]),
        *(-1, 31, 999, 10**30, {"n": 999, "unit": "year"}, {"n": 366, "unit": "minute"}),
        *("0001-01-01", "2199-12-31T23:59:59", "9999-12-31", float("nan"), "\ud800", "\x00"),
    ]
)
rrule_texts = st.lists(
    st.tuples(
        st.sampled_from("FREQ INTERVAL BYDAY BYMONTHDAY WKST COUNT UNTIL BYSETPOS X-A RRULE:FREQ".split()) | st.text(),
        st.sampled_from("= : ; \n".split(" ")),
        st.sampled_from("DAILY WEEKLY MONTHLY YEARLY MO 3SA -1FR 1 -1 31 20261231 0 1,2".split()) | st.text(max_size=6),
    ).map("".join),
    max_size=5,
).map(";".join)


def problems(read: Callable[[], Schedule]) -> tuple[FieldProblem, ...]:
    """What is refused; nothing when a schedule is read. Any other end is an error of ours."""
    try:
        schedule = read()
    except Invalid as refused:
        return refused.errors
    assert isinstance(schedule, Fixed | Once | AfterCompletion | Elapsed)
    assert expand(schedule, datetime(2026, 1, 1, tzinfo=UTC), 3) is not None
    assert from_stored(to_json(schedule)) == schedule
    return ()


@given(raw=json_values)
def test_any_json_is_a_schedule_or_refused(raw: object) -> None:  # P16
    with pytest.raises(Invalid):
        parse_schedule(raw, zones=SERVER)


@given(base=st.sampled_from([FIXED, MONTHLY, RRULE, ONCE, DONE, ELAPSED, {}]), data=st.data())
def test_any_values_in_the_fields_are_a_schedule_or_refused(base: dict[str, Any], data: st.DataObject) -> None:  # P16
    changes = data.draw(st.dictionaries(field_names, plausible | json_values, max_size=6))
    assert all(p.pointer.startswith("/schedule") and p.code for p in problems(lambda: schedule_of(base | changes)))


@given(rule=rrule_texts)
def test_any_rrule_is_a_rule_or_refused(rule: str) -> None:  # P16
    pointers = {problem.pointer for problem in problems(lambda: schedule_of(RRULE | {"rrule": rule}))}
    assert pointers <= {"/schedule/rrule", "/schedule"}


@given(date=plausible | json_values, word=plausible | json_values | st.sampled_from(["daily", "yearly"]))
def test_any_shorthand_is_a_schedule_or_refused(date: object, word: object) -> None:  # P16
    refused = problems(lambda: from_shorthand(date, word, tzid="Pacific/Kiritimati", tz_mode="pet_home"))
    assert {problem.pointer for problem in refused} <= {"/reminder_date", "/repeat_interval"}


@given(raw=fixed(), part=st.sampled_from("BYSETPOS BYYEARDAY BYWEEKNO BYMONTH BYHOUR BYMINUTE BYSECOND SKIP".split()))
def test_one_unsupported_part_spoils_any_rule(raw: dict[str, Any], part: str) -> None:  # P16
    rule = f"FREQ={raw['freq']};INTERVAL={raw['interval']};{part}=1"
    with pytest.raises(Invalid) as refused:
        schedule_of(RRULE | {"rrule": rule})
    assert [problem.code for problem in refused.value.errors] == ["unsupported_part"]
