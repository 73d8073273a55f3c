"""The schedule object: canonical, and the same after any way round; the base schema's two fields."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain.recurrence import TZDATA_VERSION, Once, Schedule, expand, with_version
from domain.schedule_json import from_shorthand, from_stored, parse_schedule, repeat_interval, to_json
from tests.domain.recurrence_kit import SERVER, fixed, schedule_of

BERLIN = "Europe/Berlin"
MONTHLY_31: dict[str, Any] = {
    "mode": "fixed",
    "dtstart_local": "2026-01-31T09:00",
    "tzid": BERLIN,
    "freq": "MONTHLY",
}
OTHERS: list[dict[str, Any]] = [
    {"mode": "once", "dtstart_local": "2026-01-31T09:00:30"},
    {"mode": "once", "dtstart_local": "2026-01-31", "tz_mode": "follow_user"},
    {"mode": "fixed", "dtstart_local": "2026-01-31", "freq": "WEEKLY", "byday": ["SU", "MO"], "wkst": "SU"},
    {"mode": "elapsed", "start_at": "2026-03-28T21:00:00.25+01:00", "every": {"n": 90, "unit": "minute"}},
    {"mode": "elapsed", "start_at": "2026-03-28T21:00:00Z", "every": {"n": 8, "unit": "hour"}, "grace_minutes": 0},
    {"mode": "after_completion", "dtstart_local": "2026-01-31T09:00", "every": {"n": 1, "unit": "month"}, "count": 3},
    {
        "mode": "after_completion",
        "dtstart_local": "2026-01-31",
        "every": {"n": 2, "unit": "week"},
        "until": "2026-12-31",
        "tzid": BERLIN,
    },
    {
        "mode": "after_completion",
        "dtstart_local": "2026-01-31T09:00",
        "every": {"n": 1, "unit": "day"},
        "times": ["18:00"],
    },
]


def test_the_answer_is_the_one_of_the_public_contract() -> None:
    assert to_json(with_version(schedule_of(MONTHLY_31 | {"tz_mode": "fixed"}), 3)) == {
        "mode": "fixed",
        "dtstart_local": "2026-01-31T09:00",
        "tzid": "Europe/Berlin",
        "tz_mode": "fixed",
        "freq": "MONTHLY",
        "interval": 1,
        "byday": None,
        "bymonthday": None,
        "wkst": "MO",
        "times": ["09:00"],
        "count": None,
        "until": None,
        "every": None,
        "start_at": None,
        "grace_minutes": None,
        "rrule": "FREQ=MONTHLY",
        "version": 3,
        "tzdata": TZDATA_VERSION,
    }


def same_after_every_way_round(raw: dict[str, Any]) -> None:
    schedule = schedule_of(raw)
    answer = to_json(schedule)
    assert from_stored(json.loads(json.dumps(answer))) == schedule
    assert parse_schedule(answer, zones=SERVER) == schedule
    assert to_json(from_stored(answer)) == answer


@given(raw=fixed(), version=st.integers(1, 99))
def test_fields_text_and_rule_are_one(raw: dict[str, Any], version: int) -> None:  # P16
    same_after_every_way_round(raw)
    schedule = with_version(schedule_of(raw), version)
    text = {"rrule": to_json(schedule)["rrule"]}
    others = {field: raw[field] for field in ("mode", "dtstart_local", "tzid", "times") if field in raw}
    assert parse_schedule(others | text, zones=SERVER, version=version) == schedule


@pytest.mark.parametrize("raw", OTHERS)
def test_the_other_modes_come_back_as_they_went(raw: dict[str, Any]) -> None:
    same_after_every_way_round(raw)


@pytest.mark.parametrize(
    ("given_rule", "canonical"),
    [
        ("FREQ=DAILY;INTERVAL=1", "FREQ=DAILY"),
        ("RRULE:FREQ=WEEKLY;WKST=MO;BYDAY=WE,MO", "FREQ=WEEKLY;BYDAY=MO,WE"),
        ("BYDAY=+3SA;FREQ=MONTHLY;COUNT=03", "FREQ=MONTHLY;BYDAY=3SA;COUNT=3"),
        ("FREQ=WEEKLY;WKST=SU;BYDAY=MO,SU;INTERVAL=2", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;UNTIL=2026-12-31", "FREQ=MONTHLY;BYMONTHDAY=-1;UNTIL=20261231"),
    ],
)
def test_an_rrule_is_answered_in_its_canonical_form(given_rule: str, canonical: str) -> None:
    raw = {"mode": "fixed", "dtstart_local": "2026-01-31T09:00", "rrule": given_rule}
    assert to_json(schedule_of(raw))["rrule"] == canonical


def test_times_are_answered_sorted_and_whole_minutes_without_seconds() -> None:
    raw = MONTHLY_31 | {"dtstart_local": "2026-01-31T09:00:00", "times": ["20:00:00", "08:00:30"]}
    answer = to_json(schedule_of(raw))
    assert (answer["dtstart_local"], answer["times"]) == ("2026-01-31T09:00", ["08:00:30", "20:00"])


def test_where_the_zone_comes_from() -> None:
    def zone(**raw: str) -> tuple[object, object]:
        answer = to_json(schedule_of({"mode": "once", "dtstart_local": "2026-01-31", **raw}))
        return answer["tz_mode"], answer["tzid"]

    assert zone() == ("pet_home", SERVER.home)
    assert zone(tz_mode="follow_user") == ("follow_user", SERVER.user)
    assert zone(tzid=BERLIN) == ("fixed", BERLIN)
    assert zone(tz_mode="pet_home", tzid=SERVER.home) == ("pet_home", SERVER.home)


def shorthand(date: object, word: object = None, tzid: str = BERLIN) -> Schedule:
    return from_shorthand(date, word, tzid=tzid, tz_mode="pet_home")


@pytest.mark.parametrize(
    ("date", "wall"),
    [
        ("2026-06-01T08:00", "2026-06-01T08:00"),
        ("2026-06-01 08:00:30", "2026-06-01T08:00:30"),
        ("2026-06-01T08:00:00.999999", "2026-06-01T08:00"),
        ("2026-06-01T08:00:00.999Z", "2026-06-01T10:00"),
        ("2026-12-31T23:30:00-05:00", "2027-01-01T05:30"),
        ("2026-10-25T01:30:00Z", "2026-10-25T02:30"),  # the second pass of an overlap becomes the nominal of both
        ("2026-06-01", "2026-06-01"),
    ],
)
def test_a_reminder_date_is_wall_time_or_becomes_it(date: str, wall: str) -> None:
    assert to_json(shorthand(date))["dtstart_local"] == wall


@pytest.mark.parametrize("word", [None, "daily", "weekly", "monthly", "yearly"])
@pytest.mark.parametrize("date", ["2026-01-31T08:00", "2026-01-31"])
def test_the_word_comes_back(word: str | None, date: str) -> None:
    schedule = shorthand(date, word)
    assert repeat_interval(schedule) == word
    assert repeat_interval(from_stored(to_json(schedule))) == word


def test_a_monthly_reminder_date_on_the_31st_clamps_and_returns() -> None:
    found = expand(shorthand("2026-01-31T09:00", "monthly"), datetime(2026, 2, 1, tzinfo=UTC), 2)
    assert [o.nominal for o in found] == ["2026-02-28T09:00", "2026-03-31T09:00"]


@pytest.mark.parametrize(
    "change",
    [
        {"interval": 2},
        {"byday": ["-1SA"]},
        {"bymonthday": 30},
        {"times": ["08:00"]},
        {"times": ["09:00", "20:00"]},
        {"count": 3},
        {"until": "2027-01-31"},
        {"freq": "WEEKLY", "byday": ["MO"]},
    ],
)
def test_a_rule_that_says_more_is_custom(change: dict[str, Any]) -> None:
    assert repeat_interval(schedule_of(MONTHLY_31 | change)) == "custom"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"bymonthday": 31}, "monthly"),
        ({"freq": "WEEKLY", "byday": ["SA"]}, "weekly"),
        ({"wkst": "SU", "grace_minutes": 5, "times": ["09:00:00"]}, "monthly"),
    ],
)
def test_spelling_out_what_is_meant_anyway_says_no_more(change: dict[str, Any], word: str) -> None:
    assert repeat_interval(schedule_of(MONTHLY_31 | change)) == word


def test_the_other_modes_are_custom_too() -> None:
    words = {repeat_interval(schedule_of(raw)) for raw in OTHERS if raw["mode"] in ("elapsed", "after_completion")}
    assert words == {"custom"}


@pytest.mark.parametrize("date", ["", "soon", "2026-02-30T08:00", "2026-W01-1", "1969-12-31", "2200-01-01", 5, ["x"]])
def test_no_such_reminder_date(date: object) -> None:
    with pytest.raises(Invalid) as refused:
        shorthand(date)
    assert [(p.pointer, p.code) for p in refused.value.errors] == [("/reminder_date", "date_invalid")]


@pytest.mark.parametrize(
    ("date", "tzid"),
    [
        ("1970-01-01T00:00Z", "America/New_York"),
        ("2199-12-31T23:00Z", "Asia/Tokyo"),
        ("9999-12-31T23:59:59-05:00", "Asia/Tokyo"),
        ("0001-01-01T00:00+05:00", "America/New_York"),
    ],
)
def test_the_year_counts_where_the_reminder_lives(date: str, tzid: str) -> None:
    """Otherwise it would be stored, and refused when it is read again."""
    with pytest.raises(Invalid) as refused:
        shorthand(date, "daily", tzid)
    assert [p.code for p in refused.value.errors] == ["date_invalid"]


@pytest.mark.parametrize("word", ["hourly", "custom", "Daily", "", 1, ["daily"]])
def test_no_such_repeat_interval(word: object) -> None:
    with pytest.raises(Invalid) as refused:
        shorthand("2026-06-01T08:00", word)
    assert [(p.pointer, p.code) for p in refused.value.errors] == [("/repeat_interval", "repeat_interval_invalid")]


def test_both_fields_are_named_in_one_answer() -> None:
    with pytest.raises(Invalid) as refused:
        shorthand(None, "hourly")
    assert [p.pointer for p in refused.value.errors] == ["/reminder_date", "/repeat_interval"]


def test_a_single_date_repeats_not_at_all() -> None:
    assert isinstance(shorthand("2026-06-01T08:00"), Once)
