"""Graph's recurrences: a pattern and a range, which are a subset of RRULE. What is none is refused."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from infra.local.emulators.calendar.errors import Refused, graph
from infra.local.emulators.calendar.series import Series, midnight, zone_of

_DAYS: Final = {
    name: name[:2].upper() for name in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
}
_INDEXES: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_FREQUENCIES: Final = {
    "daily": "DAILY",
    "weekly": "WEEKLY",
    "absoluteMonthly": "MONTHLY",
    "relativeMonthly": "MONTHLY",
    "absoluteYearly": "YEARLY",
    "relativeYearly": "YEARLY",
}


def refusal() -> Refused:
    """Of a recurrence that Graph does not know."""
    return graph(400, "ErrorPropertyValidationFailure", "At least one property failed validation: recurrence.")


def series_of(body: Mapping[str, Any]) -> Series:
    """Where the occurrences of a master are."""
    start, recurrence = body["start"], body["recurrence"]
    zone = None if body.get("isAllDay") else zone_of(start["timeZone"])
    wall = datetime.fromisoformat(start["dateTime"])
    rule = f"RRULE:{_pattern(recurrence['pattern'])}{_range(recurrence['range'], wall, zone is None, start)}"
    return Series(midnight(wall.date()) if zone is None else wall, zone, (rule,))


def check(body: Mapping[str, Any]) -> None:
    """Raises the refusal of what is no recurrence of Graph's."""
    try:
        series_of(body).check()
    except (KeyError, TypeError, ValueError, AttributeError):
        raise refusal() from None


def _pattern(pattern: Mapping[str, Any]) -> str:
    kind = pattern["type"]
    interval = int(pattern.get("interval") or 1)
    if interval < 1:
        raise refusal()
    parts = [f"FREQ={_FREQUENCIES[kind]}", f"INTERVAL={interval}"]
    if kind == "weekly":
        parts += [f"BYDAY={_weekdays(pattern)}", f"WKST={_DAYS[pattern.get('firstDayOfWeek') or 'sunday']}"]
    if kind in ("absoluteYearly", "relativeYearly"):
        parts.append(f"BYMONTH={_within(pattern['month'], 12)}")
    if kind in ("absoluteMonthly", "absoluteYearly"):
        parts.append(f"BYMONTHDAY={_within(pattern['dayOfMonth'], 31)}")
    if kind in ("relativeMonthly", "relativeYearly"):
        parts += [f"BYDAY={_weekdays(pattern)}", f"BYSETPOS={_INDEXES[pattern.get('index') or 'first']}"]
    return ";".join(parts)


def _range(given: Mapping[str, Any], start: datetime, all_day: bool, at: Mapping[str, str]) -> str:
    if date.fromisoformat(given["startDate"]) != start.date():
        raise refusal()
    match given["type"]:
        case "noEnd":
            return ""
        case "numbered":
            return f";COUNT={_within(given['numberOfOccurrences'], 999)}"
        case "endDate":
            last = date.fromisoformat(given["endDate"])
            if last < start.date():
                raise refusal()
            return f";UNTIL={_until(last, all_day, at)}"
        case _:
            raise refusal()


def _until(last: date, all_day: bool, at: Mapping[str, str]) -> str:
    if all_day:
        return f"{last:%Y%m%d}"
    end = datetime.combine(last, time(23, 59, 59), zone_of(at["timeZone"])).astimezone(UTC)
    return f"{end:%Y%m%dT%H%M%SZ}"


def ended(recurrence: Mapping[str, Any], before: date) -> dict[str, Any]:
    """The same recurrence, over before a day."""
    last = (before - timedelta(days=1)).isoformat()
    kept = {name: value for name, value in recurrence["range"].items() if name != "numberOfOccurrences"}
    return {**recurrence, "range": {**kept, "type": "endDate", "endDate": last}}


def begun(recurrence: Mapping[str, Any], on: date) -> dict[str, Any]:
    """The same recurrence, from a day on."""
    return {**recurrence, "range": {**recurrence["range"], "startDate": on.isoformat()}}


def _weekdays(pattern: Mapping[str, Any]) -> str:
    days = [_DAYS[day] for day in pattern["daysOfWeek"]]
    if not days:
        raise refusal()
    return ",".join(days)


def _within(value: Any, most: int) -> int:
    if not 1 <= int(value) <= most:
        raise refusal()
    return int(value)
