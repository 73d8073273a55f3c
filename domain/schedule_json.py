"""The `schedule` object of the REST API: read with every refusal named, written canonically (recurrence.md §3.1, §3.2).

The canonical form is also what is stored (`reminders.schedule`); `from_stored` is its inverse.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Final, TypedDict

from core.errors import FieldProblem, Invalid
from domain.recurrence import (
    TZDATA_VERSION,
    AfterCompletion,
    Elapsed,
    Fixed,
    Freq,
    Once,
    Rule,
    Schedule,
    TzMode,
    first_due,
    instant_text,
    text_of,
)
from domain.rrule import RULE_FIELDS, fields_of, format_rrule, read_end, read_rrule, read_rule
from domain.schedule_fields import (
    Reader,
    Refused,
    calendar_distance,
    elapsed_distance,
    instant,
    start,
    times,
    tz_mode,
    wall_time,
    whole,
    zone,
)

REPEAT_WORDS: Final[Mapping[str, Freq]] = {
    "daily": "DAILY",
    "weekly": "WEEKLY",
    "monthly": "MONTHLY",
    "yearly": "YEARLY",
}
_WALL: Final = frozenset({"dtstart_local", "tzid", "tz_mode"})
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "fixed": _WALL | {*RULE_FIELDS, "times", "grace_minutes", "rrule"},
    "once": _WALL,
    "after_completion": _WALL | {"every", "times", "count", "until"},
    "elapsed": frozenset({"start_at", "every", "grace_minutes"}),
}
_READ_ONLY: Final = frozenset({"version", "tzdata"})
_KNOWN: Final = frozenset().union(*_FIELDS.values())
_grace = whole(0, 10_080, "grace_range")


@dataclass(frozen=True, slots=True)
class Zones:
    """Where `pet_home` and `follow_user` point to for this reminder."""

    home: str
    user: str


def zone_in_force(schedule: Schedule, zones: Zones) -> str:
    """The zone a schedule follows now."""
    tz_mode: TzMode = getattr(schedule, "tz_mode", "pet_home")
    match tz_mode:
        case "follow_user":
            return zones.user
        case "fixed":
            return str(getattr(schedule, "tzid", zones.home))
        case _:
            return zones.home


def parse_schedule(raw: object, *, zones: Zones, version: int = 1, pointer: str = "/schedule") -> Schedule:
    """The schedule a client described. Raises `Invalid` with one entry per problem (codes: recurrence.md §3.2).

    An answer of ours can be sent back: read-only `version` and `tzdata` are passed over, and beside them the rule may
    stand in both forms as long as they say the same.
    """
    if not isinstance(raw, Mapping):
        raise _one(pointer, "schedule_invalid", "a JSON object")
    reader = Reader(raw, pointer)
    mode, schedule = reader.need("mode", _mode), None
    if mode is not None:
        _refuse_other_fields(reader, mode)
        schedule = _READERS[mode](reader, zones, version)
    reader.finish()
    assert schedule is not None  # noqa: S101 - finish() has raised otherwise
    if first_due(schedule) is None:
        raise _one(pointer, "empty_rule", "the rule names no date at all")
    return schedule


def from_shorthand(
    reminder_date: object, repeat_interval: object, *, tzid: str, tz_mode: TzMode, version: int = 1
) -> Schedule:
    """The schedule of the base schema's `reminder_date` + `repeat_interval` (null, daily, weekly, monthly, yearly).

    A value with an offset becomes wall time of `tzid`, a naive one is wall time, a date alone means all day; a fraction
    of a second is cut off. Raises `Invalid`.
    """
    reader = Reader({"reminder_date": reminder_date, "repeat_interval": repeat_interval}, "")
    given = reader.need("reminder_date", wall_time(tzid))
    freq = reader.read("repeat_interval", _repeat_word, None)
    reader.finish()
    assert given is not None  # noqa: S101 - finish() has raised otherwise
    at, all_day = given
    if freq is None:
        return Once(start=at, all_day=all_day, tzid=tzid, tz_mode=tz_mode, version=version)
    return Fixed(
        start=at,
        all_day=all_day,
        tzid=tzid,
        tz_mode=tz_mode,
        version=version,
        rule=Rule(freq=freq),
        times=(at.time(),),
    )


def repeat_interval(schedule: Schedule) -> str | None:
    """The base schema's word for a schedule: None for a single date, `custom` when the rule says more."""
    if isinstance(schedule, Once):
        return None
    if not isinstance(schedule, Fixed) or _says_more(schedule):
        return "custom"
    return next(word for word, freq in REPEAT_WORDS.items() if freq == schedule.rule.freq)


def to_json(schedule: Schedule) -> dict[str, object]:
    """The canonical object: what is stored and what is answered. Every field is present; unused ones are null."""
    answer: dict[str, object] = {"mode": _MODES[type(schedule)]}
    answer |= dict.fromkeys(("dtstart_local", "tzid", "tz_mode", *RULE_FIELDS, "times", "every", "start_at"))
    answer |= {"grace_minutes": None, "rrule": None}
    match schedule:
        case Fixed():
            answer |= fields_of(schedule.rule)
            answer |= {"rrule": format_rrule(schedule.rule), "grace_minutes": schedule.grace_minutes}
            answer["times"] = None if schedule.all_day else [_clock(at) for at in schedule.times]
        case AfterCompletion():
            answer |= {"count": schedule.count, "until": schedule.until and schedule.until.isoformat()}
            answer["times"] = None if schedule.all_day else [_clock(schedule.at)]
        case Elapsed():
            answer |= {"start_at": instant_text(schedule.start_at), "grace_minutes": schedule.grace_minutes}
    if isinstance(schedule, AfterCompletion | Elapsed):
        answer["every"] = {"n": schedule.every.n, "unit": schedule.every.unit}
    if not isinstance(schedule, Elapsed):
        answer["dtstart_local"] = text_of(schedule.start, all_day=schedule.all_day)
        answer |= {"tzid": schedule.tzid, "tz_mode": schedule.tz_mode}
    return answer | {"version": schedule.version, "tzdata": TZDATA_VERSION}


def from_stored(stored: Mapping[str, object]) -> Schedule:
    """The inverse of `to_json`, for what we stored ourselves: its zone is taken as it stands."""
    # The rule is there twice, as fields and as text; one reading is enough.
    reader = Reader({field: value for field, value in stored.items() if field != "rrule"}, "/schedule")
    tzid, version = str(stored.get("tzid")), stored["version"]
    assert isinstance(version, int)  # noqa: S101 - written by to_json
    schedule = _READERS[str(stored["mode"])](reader, Zones(tzid, tzid), version)
    reader.finish()
    assert schedule is not None  # noqa: S101 - finish() has raised otherwise
    return schedule


def _refuse_other_fields(reader: Reader, mode: str) -> None:
    for field in sorted(reader.raw.keys() - _FIELDS[mode] - _READ_ONLY - {"mode"}):
        if field in _KNOWN:
            reader.refuse(field, "field_not_allowed_in_mode", f"{mode} has no {field}")
        else:
            reader.refuse(field, "unknown_field", "not a field of a schedule")


def _read_fixed(reader: Reader, zones: Zones, version: int) -> Fixed | None:
    wall = _read_wall(reader, zones, version)
    rule = _read_one_rule(reader)
    grace = reader.read("grace_minutes", _grace, None)
    at_times = _read_times(reader, wall, most=12)
    if rule is not None:
        _check_until(reader, wall, rule.until)
    if wall is None or rule is None:
        return None
    return Fixed(**wall, rule=rule, times=at_times, grace_minutes=grace)


def _read_once(reader: Reader, zones: Zones, version: int) -> Once | None:
    wall = _read_wall(reader, zones, version)
    return Once(**wall) if wall is not None else None


def _read_after_completion(reader: Reader, zones: Zones, version: int) -> AfterCompletion | None:
    wall = _read_wall(reader, zones, version)
    every = reader.need("every", calendar_distance)
    count, until = read_end(reader)
    at_times = _read_times(reader, wall, most=1)
    _check_until(reader, wall, until)
    if wall is None or every is None:
        return None
    return AfterCompletion(**wall, every=every, at=at_times[0], count=count, until=until)


def _read_elapsed(reader: Reader, zones: Zones, version: int) -> Elapsed | None:
    start_at = reader.need("start_at", instant)
    every = reader.need("every", elapsed_distance)
    grace = reader.read("grace_minutes", _grace, None)
    if start_at is None or every is None:
        return None
    return Elapsed(start_at=start_at, every=every, version=version, grace_minutes=grace)


_READERS: Final[Mapping[str, Callable[[Reader, Zones, int], Schedule | None]]] = {
    "fixed": _read_fixed,
    "once": _read_once,
    "after_completion": _read_after_completion,
    "elapsed": _read_elapsed,
}
_MODES: Final[Mapping[type[Schedule], str]] = {
    Fixed: "fixed",
    Once: "once",
    AfterCompletion: "after_completion",
    Elapsed: "elapsed",
}


class _Wall(TypedDict):
    """The fields that the modes on a wall clock share."""

    start: datetime
    all_day: bool
    tzid: str
    tz_mode: TzMode
    version: int


def _read_wall(reader: Reader, zones: Zones, version: int) -> _Wall | None:
    anchor = reader.need("dtstart_local", start)
    mode, tzid = _read_zone(reader, zones)
    if anchor is None or tzid is None:
        return None
    return _Wall(start=anchor[0], all_day=anchor[1], tzid=tzid, tz_mode=mode, version=version)


def _read_zone(reader: Reader, zones: Zones) -> tuple[TzMode, str | None]:
    given = reader.read("tzid", zone, None)
    default: TzMode = "fixed" if "tzid" in reader.raw else "pet_home"
    mode = reader.read("tz_mode", tz_mode, default)
    if mode == "fixed":
        if "tzid" not in reader.raw:
            reader.refuse("tzid", "tzid_required", "a fixed zone needs its IANA name in tzid")
        return mode, given
    server = zones.home if mode == "pet_home" else zones.user
    if given is not None and given != server:
        reader.refuse("tzid", "tzid_read_only", f"with {mode} the zone follows from the pet or the user")
    return mode, server


def _read_one_rule(reader: Reader) -> Rule | None:
    if "rrule" not in reader.raw:
        return read_rule(reader)
    from_text = read_rrule(reader)
    if reader.raw.keys().isdisjoint(RULE_FIELDS):
        return from_text
    if not reader.raw.keys().isdisjoint(_READ_ONLY):  # an answer of ours sent back
        rule = read_rule(reader)
        if rule is None or from_text is None or rule == from_text:
            return rule
    reader.refuse("rrule", "rrule_and_fields", "send the rule as rrule or as fields, not as both")
    return None


def _read_times(reader: Reader, wall: _Wall | None, *, most: int) -> tuple[time, ...]:
    if wall is not None and wall["all_day"] and "times" in reader.raw:
        reader.refuse("times", "field_not_allowed_in_mode", "an all-day schedule has no times")
    return reader.read("times", times(most), (wall["start"].time() if wall else time(0),))


def _check_until(reader: Reader, wall: _Wall | None, until: date | None) -> None:
    if wall is not None and until is not None and until < wall["start"].date():
        field = "until" if "until" in reader.raw else "rrule"
        reader.refuse(field, "until_before_start", "until lies before dtstart_local")


def _mode(value: object) -> str:
    if not isinstance(value, str) or value not in _FIELDS:
        raise Refused("unknown_mode", f"one of {', '.join(_FIELDS)}")
    return value


def _repeat_word(value: object) -> Freq | None:
    if not isinstance(value, str) or value not in REPEAT_WORDS:
        raise Refused("repeat_interval_invalid", f"null, {', '.join(REPEAT_WORDS)}")
    return REPEAT_WORDS[value]


def _says_more(schedule: Fixed) -> bool:
    """Whether the rule is more than "every day, week, month or year from the anchor on"."""
    rule, anchor = schedule.rule, schedule.start
    plain = Rule(freq=rule.freq, wkst=rule.wkst)  # where the week begins matters to longer intervals alone
    spelled_out = replace(
        plain,
        byday=rule.byday if rule.byday == (anchor.weekday(),) else (),
        monthday=rule.monthday if rule.monthday == anchor.day else None,
    )
    return rule != spelled_out or schedule.times != (anchor.time(),)


def _clock(at: time) -> str:
    return at.isoformat(timespec="seconds" if at.second else "minutes")


def _one(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(pointer, code, detail),))
