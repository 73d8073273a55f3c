"""The `schedule` object of the REST API: read with every refusal named, written canonically (recurrence.md §3.1, §3.2).

What is not supported is refused; nothing is rounded, reinterpreted or silently dropped.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeVar, get_args
from zoneinfo import ZoneInfo

from core.errors import FieldProblem, Invalid
from domain.recurrence import (
    TZDATA_VERSION,
    WEEKDAYS,
    ZONES,
    AfterCompletion,
    Elapsed,
    Every,
    Fixed,
    Freq,
    Once,
    Schedule,
    TzMode,
    first_due,
    text_of,
)
from domain.rrule import RULE_FIELDS, Rule, RuleRefused, format_rrule, parse_rrule, read_rule

FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "fixed": frozenset(
        {"dtstart_local", "tzid", "tz_mode", *RULE_FIELDS, "count", "until", "times", "grace_minutes", "rrule"}
    ),
    "once": frozenset({"dtstart_local", "tzid", "tz_mode"}),
    "after_completion": frozenset({"dtstart_local", "tzid", "tz_mode", "every", "times", "count", "until"}),
    "elapsed": frozenset({"start_at", "every", "grace_minutes"}),
}
READ_ONLY: Final = frozenset({"version", "tzdata"})
KNOWN: Final = frozenset().union(*FIELDS.values()) | READ_ONLY | {"mode"}
REPEAT_WORDS: Final[Mapping[str, Freq]] = {
    "daily": "DAILY",
    "weekly": "WEEKLY",
    "monthly": "MONTHLY",
    "yearly": "YEARLY",
}
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?", re.ASCII)
_CALENDAR_UNITS: Final = ("day", "week", "month", "year")
_CLOCK_UNITS: Final = ("minute", "hour")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Zones:
    """Where `pet_home` and `follow_user` point to for this reminder."""

    home: str
    user: str


class Reader:
    """Reads one JSON object field by field and collects every problem instead of stopping at the first."""

    def __init__(self, raw: Mapping[str, object], pointer: str) -> None:
        self.raw = {key: value for key, value in raw.items() if value is not None}
        self.pointer = pointer
        self.problems: list[FieldProblem] = []

    def refuse(self, field: str, code: str, detail: str) -> None:
        """Note a problem; reading goes on."""
        self.problems.append(FieldProblem(f"{self.pointer}/{field}" if field else self.pointer, code, detail))

    def read(self, field: str, parse: Callable[[object], T], default: T) -> T:
        """The parsed field; `default` where it is absent or was refused."""
        if field not in self.raw:
            return default
        try:
            return parse(self.raw[field])
        except RuleRefused as refused:
            self.refuse(refused.field or field, refused.code, refused.detail)
            return default

    def need(self, field: str, parse: Callable[[object], T]) -> T | None:
        """`read` of a field that must be there."""
        if field not in self.raw:
            self.refuse(field, "missing_field", f"this mode needs {field}")
        return self.read(field, parse, None)

    def finish(self) -> None:
        """Raise `Invalid` with everything that was refused."""
        if self.problems:
            raise Invalid("the schedule cannot be used as it is", errors=tuple(self.problems))


def parse_schedule(
    raw: Mapping[str, object], *, zones: Zones, version: int = 1, pointer: str = "/schedule"
) -> Schedule:
    """The schedule a client described. Raises `Invalid` with one entry per problem (codes: recurrence.md §3.2).

    `version`, `tzdata` and a canonical `rrule` that says the same as the fields are accepted, so that an answer of ours
    can be sent back.
    """
    reader = Reader(raw, pointer)
    mode = reader.raw.get("mode")
    if not isinstance(mode, str) or mode not in FIELDS:
        reader.refuse("mode", "missing_field" if mode is None else "unknown_mode", f"one of {', '.join(FIELDS)}")
        reader.finish()
    assert isinstance(mode, str)  # noqa: S101 - finish() has raised otherwise
    for field in sorted(reader.raw.keys() - FIELDS[mode] - READ_ONLY - {"mode"}):
        if field in KNOWN:
            reader.refuse(field, "field_not_allowed_in_mode", f"{mode} has no {field}")
        else:
            reader.refuse(_escaped(field), "unknown_field", "not a field of a schedule")
    schedule = _READERS[mode](reader, zones, version)
    reader.finish()
    if schedule is None:
        raise AssertionError("a schedule that cannot be built was refused before")
    if first_due(schedule) is None:
        reader.refuse("", "empty_rule", "the rule names no date at all")
        reader.finish()
    return schedule


def from_shorthand(
    reminder_date: str, repeat_interval: str | None, *, tzid: str, tz_mode: TzMode, version: int = 1
) -> Schedule:
    """The schedule of the base schema's `reminder_date` + `repeat_interval` (null, daily, weekly, monthly, yearly).

    A value with an offset becomes wall time of `tzid`; a naive one is wall time; a fraction of a second is cut off.
    Raises `Invalid`.
    """
    try:
        given = datetime.fromisoformat(reminder_date)
        local = given if given.tzinfo is None else given.astimezone(ZoneInfo(tzid)).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise _one("/reminder_date", "date_invalid", "an RFC 3339 date-time, or a wall time without offset") from error
    local = local.replace(microsecond=0)
    if not 1970 <= local.year <= 2199:
        raise _one("/reminder_date", "date_invalid", "the year lies between 1970 and 2199")
    if repeat_interval is None:
        return Once(start=local, tzid=tzid, tz_mode=tz_mode, version=version)
    if repeat_interval not in REPEAT_WORDS:
        raise _one("/repeat_interval", "repeat_interval_invalid", "null, daily, weekly, monthly or yearly")
    return Fixed(
        start=local,
        tzid=tzid,
        tz_mode=tz_mode,
        version=version,
        freq=REPEAT_WORDS[repeat_interval],
        times=(local.time(),),
    )


def repeat_interval(schedule: Schedule) -> str | None:
    """The base schema's word for a schedule; `custom` when the rule says more."""
    if isinstance(schedule, Once):
        return None
    for word, freq in REPEAT_WORDS.items():
        plain = isinstance(schedule, Fixed) and not schedule.all_day
        if plain and schedule == _plain(schedule, freq):  # type: ignore[arg-type]
            return word
    return "custom"


def to_json(schedule: Schedule) -> dict[str, object]:
    """The canonical object: what is stored and what is answered. Every field is present; unused ones are null."""
    answer: dict[str, object] = dict.fromkeys(
        ("dtstart_local", "tzid", "tz_mode", *RULE_FIELDS, "times", "count", "until", "every", "start_at")
    )
    answer |= {"mode": _mode(schedule), "grace_minutes": None, "rrule": None}
    match schedule:
        case Elapsed():
            answer["start_at"] = schedule.start_at.isoformat().replace("+00:00", "Z")
            answer["grace_minutes"] = schedule.grace_minutes
        case Once() | AfterCompletion() | Fixed():
            answer["dtstart_local"] = text_of(schedule.start, all_day=schedule.all_day)
            answer |= {"tzid": schedule.tzid, "tz_mode": schedule.tz_mode}
    if isinstance(schedule, Fixed):
        rule = _rule(schedule)
        answer |= rule.to_json() | {"rrule": format_rrule(rule), "grace_minutes": schedule.grace_minutes}
        answer["times"] = None if schedule.all_day else [_clock(at) for at in schedule.times]
    if isinstance(schedule, AfterCompletion):
        answer["times"] = None if schedule.all_day else [_clock(schedule.at)]
        answer |= {"count": schedule.count, "until": schedule.until and schedule.until.isoformat()}
    if isinstance(schedule, AfterCompletion | Elapsed):
        answer["every"] = {"n": schedule.every.n, "unit": schedule.every.unit}
    return answer | {"version": schedule.version, "tzdata": TZDATA_VERSION}


def from_stored(stored: Mapping[str, object]) -> Schedule:
    """The inverse of `to_json`, for what we stored ourselves: its zone is taken as it stands."""
    tzid = str(stored.get("tzid") or "UTC")
    version = stored["version"]
    assert isinstance(version, int)  # noqa: S101 - written by to_json
    reader = Reader(stored, "/schedule")
    schedule = _READERS[str(stored["mode"])](reader, Zones(tzid, tzid), version)
    reader.finish()
    assert schedule is not None  # noqa: S101 - finish() has raised otherwise
    return schedule


def _read_fixed(reader: Reader, zones: Zones, version: int) -> Fixed | None:
    start, tz_mode, tzid = reader.need("dtstart_local", _start), *_zone(reader, zones)
    rule = _one_rule(reader)
    grace = reader.read("grace_minutes", lambda value: _whole(value, 0, 10_080, "grace_range"), None)
    if start is None or rule is None or tzid is None:
        return None
    at, all_day = start
    times = _times(reader, at, all_day=all_day, most=12)
    if rule.until is not None and rule.until < at.date():
        reader.refuse("until", "until_before_start", "until lies before dtstart_local")
    return Fixed(
        start=at,
        all_day=all_day,
        tzid=tzid,
        tz_mode=tz_mode,
        version=version,
        freq=rule.freq,
        interval=rule.interval,
        byday=rule.byday,
        nth=rule.nth,
        monthday=rule.monthday,
        wkst=rule.wkst,
        times=times,
        count=rule.count,
        until=rule.until,
        grace_minutes=grace,
    )


def _read_once(reader: Reader, zones: Zones, version: int) -> Once | None:
    start, tz_mode, tzid = reader.need("dtstart_local", _start), *_zone(reader, zones)
    if start is None or tzid is None:
        return None
    return Once(start=start[0], all_day=start[1], tzid=tzid, tz_mode=tz_mode, version=version)


def _read_after_completion(reader: Reader, zones: Zones, version: int) -> AfterCompletion | None:
    start, tz_mode, tzid = reader.need("dtstart_local", _start), *_zone(reader, zones)
    every = reader.need("every", lambda value: _every(value, _CALENDAR_UNITS))
    bounds = reader.read("count", _count, None), reader.read("until", _until, None)
    if None not in bounds:
        reader.refuse("until", "count_and_until", "send count or until, not both")
    if start is None or tzid is None or every is None:
        return None
    at, all_day = start
    if bounds[1] is not None and bounds[1] < at.date():
        reader.refuse("until", "until_before_start", "until lies before dtstart_local")
    times = _times(reader, at, all_day=all_day, most=1)
    return AfterCompletion(
        start=at,
        all_day=all_day,
        tzid=tzid,
        tz_mode=tz_mode,
        version=version,
        every=every,
        at=times[0],
        count=bounds[0],
        until=bounds[1],
    )


def _read_elapsed(reader: Reader, zones: Zones, version: int) -> Elapsed | None:
    start_at = reader.need("start_at", _instant)
    every = reader.need("every", lambda value: _every(value, _CLOCK_UNITS))
    grace = reader.read("grace_minutes", lambda value: _whole(value, 0, 10_080, "grace_range"), None)
    if start_at is None or every is None:
        return None
    return Elapsed(start_at=start_at, every=every, version=version, grace_minutes=grace)


_READERS: Final[Mapping[str, Callable[[Reader, Zones, int], Schedule | None]]] = {
    "fixed": _read_fixed,
    "once": _read_once,
    "after_completion": _read_after_completion,
    "elapsed": _read_elapsed,
}


def _one_rule(reader: Reader) -> Rule | None:
    """The rule from the fields or from `rrule`; both only when they say the same (an answer of ours sent back)."""
    from_text = reader.read("rrule", parse_rrule, None)
    named = [field for field in (*RULE_FIELDS, "count", "until") if field in reader.raw]
    if "rrule" in reader.raw and not named:
        return from_text
    if "rrule" not in reader.raw and "freq" not in reader.raw:
        reader.refuse("freq", "missing_field", "this mode needs freq, or an rrule")
        return None
    rule = read_rule(reader.raw, reader.refuse)
    if "rrule" in reader.raw and rule is not None and from_text is not None and rule != from_text:
        reader.refuse("rrule", "rrule_and_fields", "send the rule as rrule or as fields, not as both")
    return rule


def _zone(reader: Reader, zones: Zones) -> tuple[TzMode, str | None]:
    given = reader.read("tzid", _tzid, None)
    default: TzMode = "fixed" if "tzid" in reader.raw else "pet_home"
    tz_mode = reader.read("tz_mode", _tz_mode, default)
    if tz_mode == "fixed":
        if "tzid" not in reader.raw:
            reader.refuse("tzid", "tzid_required", "a fixed zone needs its IANA name in tzid")
        return tz_mode, given
    server = zones.home if tz_mode == "pet_home" else zones.user
    if given is not None and given != server:
        reader.refuse("tzid", "tzid_read_only", f"with {tz_mode} the zone follows from the pet or the user")
    return tz_mode, server


def _tzid(value: object) -> str:
    if not isinstance(value, str) or value not in ZONES:
        raise RuleRefused("unknown_zone", "not an IANA zone of this release (exact case)")
    return value


def _tz_mode(value: object) -> TzMode:
    for mode in get_args(TzMode):
        if value == mode:
            return mode  # type: ignore[no-any-return]
    raise RuleRefused("tz_mode_invalid", "pet_home, follow_user or fixed")


def _start(value: object) -> tuple[datetime, bool]:
    """The anchor and whether it is all-day."""
    if not isinstance(value, str) or not _LOCAL.fullmatch(value):
        raise RuleRefused("dtstart_must_be_local", "YYYY-MM-DDTHH:MM[:SS] without offset, or YYYY-MM-DD")
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise RuleRefused("dtstart_must_be_local", "no such date or time") from None
    if not 1970 <= at.year <= 2199:
        raise RuleRefused("dtstart_must_be_local", "the year lies between 1970 and 2199")
    return at, "T" not in value


def _instant(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 1970 <= at.year <= 2199:
        raise RuleRefused("start_at_invalid", "an RFC 3339 instant with offset, 1970 to 2199")
    return at.astimezone(UTC)


def _times(reader: Reader, start: datetime, *, all_day: bool, most: int) -> tuple[time, ...]:
    if all_day:
        if "times" in reader.raw:
            reader.refuse("times", "field_not_allowed_in_mode", "an all-day schedule has no times")
        return (time(0),)

    def parse(value: object) -> tuple[time, ...]:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise RuleRefused("times_invalid", f"a list of 1 to {most} times")
        if not all(isinstance(entry, str) and _TIME.fullmatch(entry) for entry in value):
            raise RuleRefused("times_invalid", "HH:MM or HH:MM:SS, 00:00 to 23:59:59, without offset")
        times = tuple(sorted({time.fromisoformat(entry) for entry in value}))
        if len(times) != len(value):
            raise RuleRefused("times_invalid", "the same time twice")
        return times

    return reader.read("times", parse, (start.time(),))


def _every(value: object, units: tuple[str, ...]) -> Every:
    if not isinstance(value, dict) or value.keys() != {"n", "unit"} or value["unit"] not in units:
        raise RuleRefused("every_invalid", f'{{"n": 1 to 999, "unit": {" or ".join(units)}}}')
    n = _whole(value["n"], 1, 999 if units is _CALENDAR_UNITS else 527_040, "every_invalid")
    every = Every(n, value["unit"])
    if units is _CLOCK_UNITS and not timedelta(minutes=15) <= every.delta <= timedelta(days=366):
        raise RuleRefused("every_invalid", "between 15 minutes and 366 days")
    return every


def _whole(value: object, least: int, most: int, code: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RuleRefused(code, f"a whole number from {least} to {most}")
    return value


def _count(value: object) -> int:
    return _whole(value, 1, 9999, "count_range")


def _until(value: object) -> date:
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise RuleRefused("until_must_be_date", "a local date, YYYY-MM-DD") from None


def _rule(schedule: Fixed) -> Rule:
    return Rule(
        freq=schedule.freq,
        interval=schedule.interval,
        byday=schedule.byday,
        nth=schedule.nth,
        monthday=schedule.monthday,
        wkst=schedule.wkst,
        count=schedule.count,
        until=schedule.until,
    )


def _plain(schedule: Fixed, freq: Freq) -> Fixed:
    """The schedule `from_shorthand` would have made."""
    return Fixed(
        start=schedule.start,
        tzid=schedule.tzid,
        tz_mode=schedule.tz_mode,
        version=schedule.version,
        grace_minutes=schedule.grace_minutes,
        freq=freq,
        wkst=schedule.wkst,
        times=(schedule.start.time(),),
    )


def _mode(schedule: Schedule) -> str:
    match schedule:
        case Fixed():
            return "fixed"
        case Once():
            return "once"
        case AfterCompletion():
            return "after_completion"
        case Elapsed():
            return "elapsed"


def _clock(at: time) -> str:
    return at.isoformat(timespec="seconds" if at.second else "minutes")


def _escaped(field: str) -> str:
    """A member name as a JSON pointer token (RFC 6901 §3), short enough for an answer."""
    return field[:64].replace("~", "~0").replace("/", "~1")


def _one(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(pointer, code, detail),))


__all__ = ["WEEKDAYS", "Zones", "from_shorthand", "from_stored", "parse_schedule", "repeat_interval", "to_json"]
