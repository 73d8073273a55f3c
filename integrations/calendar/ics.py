"""Reminders as an iCalendar feed (RFC 5545): what a calendar program reads from a secret address.

Rules are said as in connected calendars (`domain.reminder_event`, recurrence.md §4.12). Where a time does not exist
because the clocks skip it RFC 5545 ignores the recurrence, and we fire later by the gap: a calendar program may show
nothing on such a day. What depends on a completion is one event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vRecur

from domain.recurrence import Elapsed, Fixed, Once, Schedule
from domain.reminder_event import SHOWN_FOR, rule_at

REFRESH: Final = timedelta(hours=1)


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
    rule = rule_at(schedule, at)
    if rule is None:
        return
    first, text = rule
    event = _event(reminder, f"{at:%H%M%S}", _begin(schedule, first))
    event.add("rrule", vRecur.from_ical(text))
    for nominal in sorted(reminder.left_out):
        left_out = datetime.fromisoformat(nominal)
        if schedule.all_day or left_out.time() == at:
            event.add("exdate", _begin(schedule, left_out), parameters={"VALUE": "DATE"} if schedule.all_day else {})
    yield event


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
        event.add("duration", SHOWN_FOR)
    event.add("transp", "TRANSPARENT")
    return event


def _begin(schedule: Fixed | Once, nominal: datetime) -> date | datetime:
    return nominal.date() if schedule.all_day else nominal.replace(tzinfo=ZoneInfo(schedule.tzid))
