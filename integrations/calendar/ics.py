"""Reminders as an iCalendar feed (RFC 5545): what a calendar program reads from a secret address.

Plain RRULEs wherever RFC 5545 means the same; the last day of a short month is said portably with BYSETPOS
(recurrence.md §4.12). Where a time does not exist because the clocks skip it RFC 5545 ignores the recurrence, and we
fire later by the gap: a calendar program may show nothing on such a day. What depends on a completion is one event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

from domain.recurrence import Elapsed, Fixed, Once, Schedule, resolve
from domain.rule import WEEKDAYS, Rule

REFRESH: Final = timedelta(hours=1)
_SHOWN_FOR: Final = timedelta(minutes=15)
"""A reminder is a moment; programs draw nothing for an event without length."""
_SHORTEST_MONTH: Final = 28


@dataclass(frozen=True, slots=True)
class FeedReminder:
    """One reminder as a feed shows it: `pending` is the instant of what is due next, `left_out` the nominals of this
    version that will not take place (skipped, cancelled)."""

    id: UUID
    title: str
    description: str | None
    schedule: Schedule
    pending: datetime | None
    left_out: frozenset[str]
    changed_at: datetime


def feed(name: str, reminders: Sequence[FeedReminder]) -> bytes:
    """The calendar, folded at 75 octets, with a VTIMEZONE for each zone it uses."""
    calendar = Calendar()
    calendar.add("prodid", "-//Petfolio//Reminders//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    for reminder in reminders:
        for event in _events(reminder):
            calendar.add_component(event)
    calendar.add_missing_timezones()
    text: bytes = calendar.to_ical()
    return text


def _events(reminder: FeedReminder) -> Iterator[Event]:
    schedule = reminder.schedule
    match schedule:
        case Fixed():
            for at in schedule.times:
                yield from _series(reminder, schedule, at)
        case Elapsed():
            every = schedule.every
            frequency = {"minute": "MINUTELY", "hour": "HOURLY"}[every.unit]
            event = _event(reminder, "elapsed", schedule.start_at)
            event.add("rrule", {"FREQ": frequency, "INTERVAL": every.n})
            yield event
        case Once():
            yield _event(reminder, "once", _begin(schedule, schedule.start))
        case _ if reminder.pending is not None:
            yield _event(reminder, "next", reminder.pending.astimezone(ZoneInfo(schedule.tzid)))


def _series(reminder: FeedReminder, schedule: Fixed, at: time) -> Iterator[Event]:
    """The nominals at one time of day: two times are two events, because BYHOUR would cross them with BYMINUTE."""
    endless = replace(schedule.rule, count=None, until=None)
    first = next(endless.nominals(schedule.start, (at,)), None)
    last = _last(schedule, at)
    if first is None or (last is not None and last < first):
        return
    event = _event(reminder, f"{at:%H%M%S}", _begin(schedule, first))
    event.add("rrule", rrule(schedule, None if last is None else _end(schedule, last)))
    for nominal in sorted(reminder.left_out):
        left_out = datetime.fromisoformat(nominal)
        if schedule.all_day or left_out.time() == at:
            event.add("exdate", _begin(schedule, left_out), parameters={"VALUE": "DATE"} if schedule.all_day else {})
    yield event


def rrule(schedule: Fixed, until: date | datetime | None) -> dict[str, Any]:
    """The rule as RFC 5545 says it; `until` inclusive, a date for all-day series and an UTC instant for others."""
    rule = schedule.rule
    parts: dict[str, Any] = {"FREQ": rule.freq}
    if rule.interval != 1:
        parts["INTERVAL"] = rule.interval
    parts |= _days(rule, schedule.start)
    if rule.freq == "WEEKLY" and rule.wkst:
        parts["WKST"] = WEEKDAYS[rule.wkst]
    if until is not None:
        parts["UNTIL"] = until
    return parts


def _days(rule: Rule, start: datetime) -> dict[str, Any]:
    match rule.freq:
        case "WEEKLY":
            return {"BYDAY": [WEEKDAYS[day] for day in rule.byday or (start.weekday(),)]}
        case "MONTHLY" if rule.nth:
            return {"BYDAY": [f"{rule.nth}{WEEKDAYS[rule.byday[0]]}"]}
        case "MONTHLY":
            return _day_of_month(rule.monthday or start.day)
        case "YEARLY":
            return {"BYMONTH": start.month} | (
                _day_of_month(start.day) if (start.month, start.day) == (2, 29) else {"BYMONTHDAY": start.day}
            )
        case _:
            return {}


def _day_of_month(day: int) -> dict[str, Any]:
    """The last of the days up to it that the month has."""
    if day <= _SHORTEST_MONTH:  # -1 among them
        return {"BYMONTHDAY": day}
    return {"BYMONTHDAY": list(range(_SHORTEST_MONTH, day + 1)), "BYSETPOS": -1}


def _last(schedule: Fixed, at: time) -> datetime | None:
    """The last nominal at this time of day; None for a series without end."""
    if schedule.rule.count is not None:
        ours = [n for n in schedule.rule.nominals(schedule.start, schedule.times) if schedule.all_day or n.time() == at]
        return ours[-1] if ours else datetime.min  # noqa: DTZ901 - naive, as nominals are
    return None if schedule.rule.until is None else datetime.combine(schedule.rule.until, at)


def _event(reminder: FeedReminder, part: str, begin: date | datetime) -> Event:
    event = Event()
    event.add("uid", f"{reminder.id}-{part}@petfolio")
    event.add("dtstamp", reminder.changed_at.astimezone(UTC))
    event.add("sequence", reminder.schedule.version)
    event.add("summary", reminder.title)
    if reminder.description:
        event.add("description", reminder.description)
    event.add("dtstart", begin)
    if isinstance(begin, datetime):
        event.add("duration", _SHOWN_FOR)
    event.add("transp", "TRANSPARENT")
    return event


def _begin(schedule: Fixed | Once, nominal: datetime) -> date | datetime:
    return nominal.date() if schedule.all_day else nominal.replace(tzinfo=ZoneInfo(schedule.tzid))


def _end(schedule: Fixed, nominal: datetime) -> date | datetime:
    return nominal.date() if schedule.all_day else resolve(nominal, schedule.tzid)
