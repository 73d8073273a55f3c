"""RRULE ⇄ Graph's pattern and range. What cannot be said exactly is refused, never rounded.

Where a month is too short for the day of a pattern, Outlook takes its last day and RFC 5545 none. So a plain 31st has
no pattern, and Outlook's 31st is "the last day", its 30th "the last of the 28th, 29th and 30th".
"""

import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from domain.calendar import Point, When
from domain.calendar_form import order, rule_parts, rule_text
from domain.recurrence import WEEKDAYS
from integrations.calendar.errors import unsupported_recurrence
from integrations.calendar.zones import wall

_NAMES: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_INDEXES: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_INDEX_NAMES: Final = {number: name for name, number in _INDEXES.items()}
_DAY: Final = re.compile(r"(-?\d)?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_COMMON_YEAR, _LEAP_YEAR = 2023, 2024
_PLAIN: Final = frozenset({"FREQ", "INTERVAL", "UNTIL", "COUNT"})


def recurrence(when: When) -> dict[str, Any]:
    """What Graph is told of a series whose rule is canonical. Raises `EventRejected`, `unsupported_recurrence`."""
    parts = rule_parts(when.rrule or "")
    start = order(when.start).date()
    pattern = _pattern(parts, start)
    if not _begins_with(pattern, start):
        raise unsupported_recurrence()  # RFC 5545 counts the start all the same, Graph moves it
    return {"pattern": pattern, "range": _range(parts, when)}


def rrule(said: Mapping[str, Any], start: Point) -> str:
    """The rule of what Graph says. Raises `EventRejected` for a pattern of an unknown kind."""
    pattern, extent = said["pattern"], said["range"]
    parts = _parts(pattern)
    parts["INTERVAL"] = str(int(pattern.get("interval") or 1))
    match extent["type"]:
        case "noEnd":
            pass
        case "numbered":
            parts["COUNT"] = str(int(extent["numberOfOccurrences"]))
        case "endDate":
            parts["UNTIL"] = f"{date.fromisoformat(extent['endDate']):%Y%m%d}"
        case _:
            raise unsupported_recurrence()
    return rule_text(parts)


def said_otherwise(said: Mapping[str, Any]) -> dict[str, Any]:
    """The same recurrence in other words, as far as it has any. Graph takes it for a new one, and forgets the
    exceptions of the old."""
    pattern = said["pattern"]
    if pattern["type"] == "weekly" and int(pattern.get("interval") or 1) > 1:
        return {**said}  # where a week begins counts
    other = "monday" if pattern.get("firstDayOfWeek", "sunday") == "sunday" else "sunday"
    return {**said, "pattern": {**pattern, "firstDayOfWeek": other}}


def _pattern(parts: Mapping[str, str], start: date) -> dict[str, Any]:
    pattern: dict[str, Any] = {"interval": int(parts.get("INTERVAL", 1)), "firstDayOfWeek": "monday"}
    match parts["FREQ"]:
        case "DAILY":
            _only(parts)
            return {**pattern, "type": "daily"}
        case "WEEKLY":
            _only(parts, "BYDAY", "WKST")
            days = _weekdays(parts["BYDAY"]) if "BYDAY" in parts else [_NAMES[start.weekday()]]
            first = _NAMES[WEEKDAYS.index(parts.get("WKST", "MO"))]
            return {**pattern, "type": "weekly", "daysOfWeek": days, "firstDayOfWeek": first}
        case "MONTHLY":
            _only(parts, "BYDAY", "BYMONTHDAY", "BYSETPOS")
            return {**pattern, **_day(parts, start, None)}
        case "YEARLY":
            _only(parts, "BYDAY", "BYMONTHDAY", "BYSETPOS", "BYMONTH")
            month = _month(parts, start)
            return {**pattern, **_day(parts, start, month), "month": month}
        case _:
            raise unsupported_recurrence()


def _only(parts: Mapping[str, str], *may: str) -> None:
    if parts.keys() - _PLAIN - set(may):
        raise unsupported_recurrence()


def _month(parts: Mapping[str, str], start: date) -> int:
    if "BYMONTH" not in parts and "BYDAY" not in parts:
        return start.month
    if not parts.get("BYMONTH", "").isdigit():  # several; or "the second Sunday of the year"
        raise unsupported_recurrence()
    return int(parts["BYMONTH"])


def _day(parts: Mapping[str, str], start: date, month: int | None) -> dict[str, Any]:
    """A day of a month (None: of any): a number, or the n-th of some weekdays."""
    period = "Yearly" if month else "Monthly"
    if "BYDAY" not in parts:
        return {"type": f"absolute{period}", "dayOfMonth": _day_of_month(parts, start, *_lengths(month))}
    found = [match for each in parts["BYDAY"].split(",") if (match := _DAY.fullmatch(each))]
    nths = {match[1] for match in found}
    nth = parts.get("BYSETPOS") if nths == {None} else found[0][1] if len(found) == 1 else None
    index = _INDEX_NAMES.get(int(nth)) if nth and re.fullmatch(r"-?\d", nth) else None
    if index is None or "BYMONTHDAY" in parts or (nths != {None} and "BYSETPOS" in parts):
        raise unsupported_recurrence()
    return {
        "type": f"relative{period}",
        "daysOfWeek": [_NAMES[WEEKDAYS.index(match[2])] for match in found],
        "index": index,
    }


def _lengths(month: int | None) -> tuple[int, int]:
    """The fewest and the most days that a month, or this one, may have."""
    if month is None:
        return 28, 31
    return monthrange(_COMMON_YEAR, month)[1], monthrange(_LEAP_YEAR, month)[1]


def _day_of_month(parts: Mapping[str, str], start: date, shortest: int, longest: int) -> int:
    """The number by which Outlook knows the day."""
    days = [int(each) for each in parts.get("BYMONTHDAY", str(start.day)).split(",")]
    if "BYSETPOS" in parts:
        if parts["BYSETPOS"] != "-1" or days != list(range(28, days[-1] + 1)) or days[-1] > longest:
            raise unsupported_recurrence()
        return days[-1]
    if days == [-1]:
        return longest
    if len(days) != 1 or not 1 <= days[0] <= shortest:
        raise unsupported_recurrence()
    return days[0]


def _weekdays(text: str) -> list[str]:
    if not all(each in WEEKDAYS for each in text.split(",")):
        raise unsupported_recurrence()
    return [_NAMES[WEEKDAYS.index(each)] for each in text.split(",")]


def _range(parts: Mapping[str, str], when: When) -> dict[str, Any]:
    begins = {"startDate": order(when.start).date().isoformat()}
    if when.tzid is not None:
        begins["recurrenceTimeZone"] = when.tzid
    if "COUNT" in parts:
        return {**begins, "type": "numbered", "numberOfOccurrences": int(parts["COUNT"])}
    if "UNTIL" in parts:
        return {**begins, "type": "endDate", "endDate": _last_day(parts["UNTIL"], when.tzid).isoformat()}
    return {**begins, "type": "noEnd"}


def _last_day(until: str, tzid: str | None) -> date:
    """A canonical UNTIL is the end of the last day, or the last day itself."""
    if tzid is None:
        return datetime.strptime(until, "%Y%m%d").date()  # noqa: DTZ007 - a date
    return wall(datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC), tzid).date()


def _begins_with(pattern: Mapping[str, Any], start: date) -> bool:
    """Whether the first day is one of the pattern."""
    length = monthrange(start.year, start.month)[1]
    if pattern.get("month", start.month) != start.month:
        return False
    if "dayOfMonth" in pattern:
        return bool(start.day == min(pattern["dayOfMonth"], length))
    if "daysOfWeek" not in pattern:
        return True
    if "index" not in pattern:
        return _NAMES[start.weekday()] in pattern["daysOfWeek"]
    candidates = [
        day for day in range(1, length + 1) if _NAMES[start.replace(day=day).weekday()] in pattern["daysOfWeek"]
    ]
    position = _INDEXES[pattern["index"]]
    return candidates[position - 1 if position > 0 else position] == start.day


def _parts(pattern: Mapping[str, Any]) -> dict[str, str]:
    days = [WEEKDAYS[_NAMES.index(each)] for each in pattern.get("daysOfWeek") or ()]
    match pattern["type"]:
        case "daily":
            return {"FREQ": "DAILY"}
        case "weekly":
            first = WEEKDAYS[_NAMES.index(pattern.get("firstDayOfWeek") or "sunday")]
            return {"FREQ": "WEEKLY", "BYDAY": ",".join(days), "WKST": first}
        case "absoluteMonthly":
            return {"FREQ": "MONTHLY", **_as_rule(int(pattern["dayOfMonth"]), None)}
        case "relativeMonthly":
            return {"FREQ": "MONTHLY", **_nth_of(days, pattern)}
        case "absoluteYearly":
            month = int(pattern["month"])
            return {"FREQ": "YEARLY", "BYMONTH": str(month), **_as_rule(int(pattern["dayOfMonth"]), month)}
        case "relativeYearly":
            return {"FREQ": "YEARLY", "BYMONTH": str(int(pattern["month"])), **_nth_of(days, pattern)}
        case _:
            raise unsupported_recurrence()


def _as_rule(day: int, month: int | None) -> dict[str, str]:
    """A day of the month, or the last one before it that there is."""
    shortest, longest = _lengths(month)
    day = min(day, longest)
    if day <= shortest:
        return {"BYMONTHDAY": str(day)}
    if month is None and day == longest:
        return {"BYMONTHDAY": "-1"}
    return {"BYMONTHDAY": ",".join(map(str, range(28, day + 1))), "BYSETPOS": "-1"}


def _nth_of(days: Sequence[str], pattern: Mapping[str, Any]) -> dict[str, str]:
    nth = _INDEXES[pattern.get("index") or "first"]
    if len(days) == 1:
        return {"BYDAY": f"{nth}{days[0]}"}
    return {"BYDAY": ",".join(days), "BYSETPOS": str(nth)}
