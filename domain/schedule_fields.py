"""Reading a JSON object field by field, with every refusal named; and the values a schedule is made of.

What is not supported is refused (recurrence.md §3.2); nothing is rounded, reinterpreted or silently dropped.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from core.errors import FieldProblem, Invalid
from domain.recurrence import WEEKDAYS, ZONES, Every, TzMode

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199
MOST_PROBLEMS: Final = 50
"""Entries of one answer: a body of a million wrong fields is not worth a million sentences."""
_DATE = r"\d{4}-\d\d-\d\d"
_LOCAL = re.compile(rf"{_DATE}(T\d\d:\d\d(:\d\d)?)?", re.ASCII)
_INSTANT = re.compile(rf"{_DATE}[Tt]\d\d:\d\d(:\d\d(\.\d{{1,9}})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EITHER = re.compile(rf"{_DATE}([Tt ]\d\d:\d\d(:\d\d(\.\d{{1,9}})?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?", re.ASCII)
_TZ_MODES: Final[Mapping[str, TzMode]] = {"pet_home": "pet_home", "follow_user": "follow_user", "fixed": "fixed"}
T = TypeVar("T")


class Refused(Exception):
    """A value cannot be used. Raised by the parsers below, turned into a `FieldProblem` by the reader of the field."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


class Reader:
    """Reads one JSON object and collects every problem instead of stopping at the first. null counts as absent.

    With `as_one` all problems point at the object itself: what it was made from has no members to point at.
    """

    def __init__(self, raw: Mapping[str, object], pointer: str, *, as_one: bool = False) -> None:
        self.raw = {key: value for key, value in raw.items() if value is not None}
        self.pointer, self.as_one = pointer, as_one
        self.problems: list[FieldProblem] = []

    def refuse(self, field: str, code: str, detail: str) -> None:
        """Note a problem with a field, or with the object itself (""); reading goes on."""
        pointer = self.pointer if self.as_one or not field else f"{self.pointer}/{_token(field)}"
        self.problems.append(FieldProblem(pointer, code, detail))

    def read(self, field: str, parse: Callable[[object], T], default: T) -> T:
        """The parsed field; `default` where it is absent or was refused."""
        if field not in self.raw:
            return default
        try:
            return parse(self.raw[field])
        except Refused as refused:
            self.refuse(field, refused.code, refused.detail)
            return default

    def need(self, field: str, parse: Callable[[object], T]) -> T | None:
        """`read` of a field that must be there."""
        if field not in self.raw:
            self.refuse(field, "missing_field", f"this mode needs {field}")
        return self.read(field, parse, None)

    def finish(self) -> None:
        """Raise `Invalid` with what was refused, if anything was."""
        if self.problems:
            raise Invalid("The schedule cannot be used as it is.", errors=tuple(self.problems[:MOST_PROBLEMS]))


def whole(least: int, most: int, code: str) -> Callable[[object], int]:
    """A parser of whole numbers; `code` is what others are refused with."""

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Refused(code, f"a whole number from {least} to {most}")
        return value

    return parse


def until_date(value: object) -> date:
    """An inclusive local date."""
    try:
        if isinstance(value, str) and re.fullmatch(_DATE, value, re.ASCII):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise Refused("until_must_be_date", "a local date that exists, without time: YYYY-MM-DD")


def weekday(value: object) -> int:
    """Monday is 0."""
    if isinstance(value, str) and value in WEEKDAYS:
        return WEEKDAYS.index(value)
    raise Refused("weekday_invalid", ", ".join(WEEKDAYS))


def zone(value: object) -> str:
    """A key of the pinned zone data, exact case."""
    if not isinstance(value, str) or value not in ZONES:
        raise Refused("unknown_zone", "not an IANA zone of this release (exact case)")
    return value


def tz_mode(value: object) -> TzMode:
    """Whose clock counts."""
    if not isinstance(value, str) or value not in _TZ_MODES:
        raise Refused("tz_mode_invalid", ", ".join(_TZ_MODES))
    return _TZ_MODES[value]


def start(value: object) -> tuple[datetime, bool]:
    """The anchor, naive, and whether it is all-day."""
    if not isinstance(value, str) or not _LOCAL.fullmatch(value):
        raise Refused("dtstart_must_be_local", "YYYY-MM-DDTHH:MM[:SS] without offset, or YYYY-MM-DD for all day")
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise Refused("dtstart_must_be_local", "no such date or time") from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise Refused("dtstart_must_be_local", f"the year lies between {FIRST_YEAR} and {LAST_YEAR}")
    return at, "T" not in value


def instant(value: object) -> datetime:
    """An RFC 3339 instant, in UTC."""
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            at = datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            if FIRST_YEAR <= at.year <= LAST_YEAR:
                return at
    raise Refused("start_at_invalid", f"an RFC 3339 instant with offset, {FIRST_YEAR} to {LAST_YEAR}")


def wall_time(tzid: str) -> Callable[[object], tuple[datetime, bool]]:
    """A parser of the base schema's `reminder_date`: the anchor on the clock of `tzid`, and whether it is all-day.

    A value with an offset is converted, a naive one is wall time, a date alone means all day. A fraction of a second
    is cut off.
    """

    def parse(value: object) -> tuple[datetime, bool]:
        if isinstance(value, str) and _EITHER.fullmatch(value):
            try:
                given = datetime.fromisoformat(value.upper())
                local = given.astimezone(ZoneInfo(tzid)) if given.tzinfo else given
            except (ValueError, OverflowError):
                pass
            else:
                if FIRST_YEAR <= local.year <= LAST_YEAR:
                    is_date = len(value) == len("YYYY-MM-DD")
                    return local.replace(microsecond=0, tzinfo=None, fold=0), is_date
        raise Refused("date_invalid", f"a date-time with or without offset, or a date; {FIRST_YEAR} to {LAST_YEAR}")

    return parse


def times(most: int) -> Callable[[object], tuple[time, ...]]:
    """A parser of the times of day, sorted."""

    def parse(value: object) -> tuple[time, ...]:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise Refused("times_invalid", f"a list of 1 to {most} times" if most > 1 else "a list of exactly one time")
        if not all(isinstance(entry, str) and _TIME.fullmatch(entry) for entry in value):
            raise Refused("times_invalid", "HH:MM or HH:MM:SS, 00:00 to 23:59:59, without offset")
        found = sorted({time.fromisoformat(entry) for entry in value})
        if len(found) != len(value):
            raise Refused("times_invalid", "the same time twice")
        return tuple(found)

    return parse


def calendar_distance(value: object) -> Every:
    """`every` of after_completion."""
    n, unit = _distance(value)
    match unit:
        case "day" | "week" | "month" | "year" if n <= 999:
            return Every(n, unit)
    raise Refused("every_invalid", '{"n": 1 to 999, "unit": day, week, month or year}')


def elapsed_distance(value: object) -> Every:
    """`every` of elapsed."""
    n, unit = _distance(value)
    match unit:
        case "minute" | "hour" if n <= 366 * 24 * 60:
            every = Every(n, unit)
            if timedelta(minutes=15) <= every.delta <= timedelta(days=366):
                return every
    raise Refused("every_invalid", '{"n", "unit": minute or hour}, from 15 minutes to 366 days')


def _distance(value: object) -> tuple[int, object]:
    if not isinstance(value, dict) or value.keys() != {"n", "unit"}:
        raise Refused("every_invalid", 'an object with "n" and "unit"')
    n = value["n"]
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise Refused("every_invalid", "n is a whole number from 1")
    return n, value["unit"]


def _token(field: str) -> str:
    """A member name as a JSON pointer token (RFC 6901 §3), short enough for an answer."""
    return field[:64].replace("~", "~0").replace("/", "~1")
