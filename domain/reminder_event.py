"""A reminder as events of a calendar, and an event's new time as the reminder's schedule (recurrence.md §4.12).

Plain RRULEs wherever RFC 5545 means the same; the last day of a short month is said portably with BYSETPOS. Each time
of day is an event of its own, because BYHOUR would cross it with BYMINUTE. What depends on a completion is one event.
Words are those of the reminder alone: no dose, no vaccine, no vet (calendar-sync.md INV8).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from domain.calendar import Capabilities, Event, Field, When
from domain.calendar_form import canonical, rule_parts, rule_text
from domain.recurrence import WEEKDAYS, Elapsed, Fixed, Once, Rule, Schedule, resolve
from domain.schedule_json import Zones, parse_schedule

SHOWN_FOR: Final = timedelta(minutes=15)
"""A reminder is a moment; programs draw nothing for an event without length."""
_SHORTEST_MONTH: Final = 28
_HELD: Final = frozenset({Field.TITLE, Field.NOTES, Field.WHEN})
MOVABLE: Final = Capabilities(fields=_HELD)
"""What a reminder can hold whose time of day can be moved in a calendar."""
UNMOVABLE: Final = Capabilities(fields=_HELD, decides=frozenset({Field.WHEN}))
"""Of several times a day, of physical hours, or of what depends on a completion: that is decided here."""


def side_of(schedule: Schedule) -> Capabilities:
    """What of its events may be changed in a calendar."""
    movable = isinstance(schedule, Once) or (isinstance(schedule, Fixed) and len(schedule.times) == 1)
    return MOVABLE if movable else UNMOVABLE


def events(title: str, notes: str | None, schedule: Schedule, pending: datetime | None) -> Mapping[str, Event]:
    """The events of a reminder by their part: one name for each time of day. `pending` is the instant due next."""
    return {part: canonical(Event(title, when, notes or "")) for part, when in _whens(schedule, pending).items()}


def _whens(schedule: Schedule, pending: datetime | None) -> Mapping[str, When]:
    match schedule:
        case Fixed():
            found = {f"{at:%H%M%S}": _series(schedule, at) for at in schedule.times}
            if len(found) == 1:  # a series keeps its event when its one time is moved
                found = {"": next(iter(found.values()))}
            return {part: when for part, when in found.items() if when is not None}
        case Once():
            return {"": _moment(schedule, schedule.start, None)}
        case Elapsed():
            freq = {"minute": "MINUTELY", "hour": "HOURLY"}[schedule.every.unit]
            start = schedule.start_at.astimezone(UTC).replace(tzinfo=None)
            return {"": When(start, start + SHOWN_FOR, "UTC", f"FREQ={freq};INTERVAL={schedule.every.n}")}
        case _ if pending is not None:
            start = pending.astimezone(ZoneInfo(schedule.tzid)).replace(tzinfo=None)
            return {"": When(start, start + SHOWN_FOR, schedule.tzid)}
        case _:
            return {}


def _series(schedule: Fixed, at: time) -> When | None:
    """The nominals at one time of day; None when there are none."""
    rule = rule_at(schedule, at)
    return None if rule is None else _moment(schedule, *rule)


def rule_at(schedule: Fixed, at: time) -> tuple[datetime, str] | None:
    """The first nominal at this time of day, and the rule as RFC 5545 says it; None when there is none. UNTIL is a date
    for all-day series and a UTC instant for others."""
    endless = replace(schedule.rule, count=None, until=None)
    first = next(endless.nominals(schedule.start, (at,)), None)
    last = _last(schedule, at)
    if first is None or (last is not None and last < first):
        return None
    parts = _parts(schedule.rule, schedule.start)
    if last is not None:
        parts["UNTIL"] = f"{last:%Y%m%d}" if schedule.all_day else f"{resolve(last, schedule.tzid):%Y%m%dT%H%M%SZ}"
    return first, rule_text(parts)


def _parts(rule: Rule, start: datetime) -> dict[str, str]:
    parts = {"FREQ": rule.freq, "INTERVAL": str(rule.interval) if rule.interval != 1 else ""}
    if rule.freq == "WEEKLY":
        parts["BYDAY"] = ",".join(WEEKDAYS[day] for day in rule.byday or (start.weekday(),))
        parts["WKST"] = WEEKDAYS[rule.wkst] if rule.wkst else ""
    elif rule.nth:
        parts["BYDAY"] = f"{rule.nth}{WEEKDAYS[rule.byday[0]]}"
    elif rule.freq == "MONTHLY":
        parts |= _day_of_month(rule.monthday or start.day)
    elif rule.freq == "YEARLY":
        parts["BYMONTH"] = str(start.month)
        leap_day = (start.month, start.day) == (2, 29)
        parts |= _day_of_month(start.day) if leap_day else {"BYMONTHDAY": str(start.day)}
    return parts


def _day_of_month(day: int) -> dict[str, str]:
    """The last of the days up to it that the month has."""
    if day <= _SHORTEST_MONTH:  # -1 among them
        return {"BYMONTHDAY": str(day)}
    return {"BYMONTHDAY": ",".join(map(str, range(_SHORTEST_MONTH, day + 1))), "BYSETPOS": "-1"}


def _last(schedule: Fixed, at: time) -> datetime | None:
    """The last nominal at this time of day; None for a series without end."""
    if schedule.rule.count is not None:
        ours = [n for n in schedule.rule.nominals(schedule.start, schedule.times) if schedule.all_day or n.time() == at]
        return ours[-1] if ours else datetime.min  # noqa: DTZ901 - naive, as nominals are
    return None if schedule.rule.until is None else datetime.combine(schedule.rule.until, at)


def _moment(schedule: Fixed | Once, start: datetime, rrule: str | None) -> When:
    if schedule.all_day:
        return When(start.date(), start.date() + timedelta(days=1), None, rrule)
    return When(start, start + SHOWN_FOR, schedule.tzid, rrule)


def rescheduled(schedule: Fixed | Once, when: When) -> Schedule:
    """The schedule after its event was moved or given another rule. Raises `Invalid` for what reminders cannot hold."""
    tzid = when.tzid or schedule.tzid
    asked: dict[str, object] = {
        "mode": "fixed" if when.rrule else "once",
        "dtstart_local": when.start.isoformat(),
        "tzid": tzid,
        "tz_mode": schedule.tz_mode if tzid == schedule.tzid else "fixed",
    }
    if when.rrule:
        asked["rrule"] = _for_reminders(when)
    return parse_schedule(asked, zones=Zones(tzid, tzid), version=schedule.version)


def _for_reminders(when: When) -> str:
    """The rule in the words of reminders, whose days 29 to 31 mean the last that a month has."""
    parts = rule_parts(when.rrule or "")
    if parts.get("BYSETPOS") == "-1" and re.fullmatch(r"28(,29(,30(,31)?)?)?", parts.get("BYMONTHDAY", "")):
        parts["BYMONTHDAY"] = parts["BYMONTHDAY"].rpartition(",")[2]
        del parts["BYSETPOS"]
    if parts["FREQ"] == "YEARLY":
        for name in ("BYMONTH", "BYMONTHDAY"):
            parts.pop(name, None)
    if "UNTIL" in parts:
        parts["UNTIL"] = _until_date(parts["UNTIL"], when)
    return rule_text(parts)


def _until_date(until: str, when: When) -> str:
    if "T" not in until:
        return until
    last = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return f"{last.astimezone(ZoneInfo(when.tzid or 'UTC')):%Y%m%d}"
