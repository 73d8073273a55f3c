"""What an iCalendar resource says, as an event (calendar-sync.md §4.1, §5.3). Pure; back goes `caldav_writing.py`.

A resource is a series with all its exceptions. What cannot be an event of ours is refused, never read as something
else: rules besides the one RRULE, an exception for "this and all following", a clock that nobody knows.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from uuid import UUID

from icalendar import vDuration
from icalendar.error import InvalidCalendar

from domain.calendar import Event, Override, Point, Status, When
from domain.calendar_form import RuleUnreadable, canonical, order
from integrations.calendar.ical_lines import Component, Line, Unreadable, parse
from integrations.calendar.ical_times import Clock, Zones, end_of
from integrations.calendar.protocol import EventRejected, Marker

UID_PREFIX: Final = "petfolio-"
MARKER: Final = "X-PETFOLIO-ID"
_OTHER_RULES: Final = ("RDATE", "EXRULE")
_STATUSES: Final = frozenset(map(str, Status))
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource, read. `master` and `exceptions` are parts of `calendar`; `clock` is what the series is on."""

    calendar: Component
    master: Component
    exceptions: dict[Point, Component]
    clock: Clock
    event: Event

    @property
    def marker(self) -> Marker | None:
        """Ours, if it is there and whole."""
        line = self.master.first(MARKER)
        try:
            return read_marker(line.text) if line else None
        except Unreadable:
            return None

    @property
    def ident(self) -> UUID | None:
        """The UID, if it is one that we make."""
        line = self.master.first("UID")
        try:
            return UUID(line.value.removeprefix(UID_PREFIX)) if line and line.value.startswith(UID_PREFIX) else None
        except ValueError:
            return None

    @property
    def updated_at(self) -> datetime | None:
        """When it was last changed, as whoever did it says."""
        line = self.master.first("LAST-MODIFIED") or self.master.first("DTSTAMP")
        try:
            points, _ = Zones(self.calendar, "UTC").read(line) if line else ([], None)
        except Unreadable:
            return None
        return next((each.replace(tzinfo=UTC) for each in points if isinstance(each, datetime)), None)


def write_marker(marker: Marker) -> str:
    """The value of our property."""
    return f"{marker.local_id}|{marker.part}|{marker.generation}"


def read_marker(text: str) -> Marker | None:
    """What `write_marker` wrote; None for anything else."""
    local_id, _, rest = text.partition("|")
    part, _, generation = rest.rpartition("|")
    try:
        return Marker(UUID(local_id), part, int(generation))
    except ValueError:
        return None


def read_resource(stream: str, floating: str) -> Resource:
    """The event of a resource. Raises `EventRejected` for what is no iCalendar and for what cannot be an event of
    ours."""
    try:
        return _read(parse(stream), floating)
    except Unreadable as error:
        raise EventRejected(str(error)) from None
    except RuleUnreadable:
        raise _unsupported() from None
    except OverflowError:
        raise EventRejected("a time at the end of time") from None


def alarm_minutes(alarm: Component) -> int | None:
    """How long before the start a plain alarm rings; None for one that we leave alone."""
    action, trigger = alarm.first("ACTION"), alarm.first("TRIGGER")
    try:
        if action is None or trigger is None or action.value.strip().upper() != "DISPLAY":
            return None
        if trigger.parameter("VALUE") == "DATE-TIME" or trigger.parameter("RELATED") == "END":
            return None
        before: timedelta = -vDuration.from_ical(trigger.value.strip())
    except (Unreadable, InvalidCalendar):
        return None
    minutes, rest = divmod(before, _MINUTE)
    return minutes if minutes >= 0 and not rest else None


def _read(calendar: Component, floating: str) -> Resource:
    events = calendar.parts("VEVENT")
    masters = [each for each in events if each.first("RECURRENCE-ID") is None]
    if calendar.name != "VCALENDAR" or len(masters) != 1:
        raise EventRejected("not one event")
    master, zones = masters[0], Zones(calendar, floating)
    start_line = _need(master, "DTSTART")
    (start, *_), clock = zones.read(start_line)
    rrule = _rule(master)
    when = When(start, _end(master, zones, start, clock), clock.zone, rrule)
    parts = [each for each in events if each is not master] if rrule else []
    exceptions = {_original(each, zones, clock, start): each for each in parts}
    cancelled = {key for key, each in exceptions.items() if _status(each) is Status.CANCELLED}
    title = _text(master, "SUMMARY")
    event = Event(
        title,
        when,
        notes=_text(master, "DESCRIPTION"),
        location=_text(master, "LOCATION"),
        alarms=_alarms(master),
        exdates=(*_exdates(master, zones, clock, start), *cancelled),
        overrides=tuple(
            _override(key, each, zones, clock, title) for key, each in exceptions.items() if key not in cancelled
        ),
        status=_status(master),
    )
    return Resource(calendar, master, exceptions, clock, canonical(event))


def _alarms(component: Component) -> tuple[int, ...]:
    found = {alarm_minutes(each) for each in component.parts("VALARM")}
    return tuple(sorted(each for each in found if each is not None))


def _rule(master: Component) -> str | None:
    rules = master.lines("RRULE")
    if len(rules) > 1 or any(master.lines(name) for name in _OTHER_RULES):
        raise _unsupported()
    return rules[0].value if rules else None


def _unsupported() -> EventRejected:
    return EventRejected("a recurrence that we cannot hold", code="unsupported_recurrence")


def _end(component: Component, zones: Zones, start: Point, clock: Clock) -> Point:
    """The end as that clock shows it; nothing ends before it begins, and a day lasts a day."""
    duration, end = component.first("DURATION"), component.first("DTEND")
    if end:
        (found, *_) = zones.on(clock, end, time())
    elif duration:
        found = end_of(start, clock.zone, duration.value)
    else:
        found = start
    least = start if isinstance(start, datetime) else start + timedelta(days=1)
    return max(found, least, key=order)


def _original(exception: Component, zones: Zones, clock: Clock, start: Point) -> Point:
    line = _need(exception, "RECURRENCE-ID")
    if line.parameter("RANGE"):
        raise _unsupported()
    return zones.on(clock, line, order(start).time())[0]


def _exdates(master: Component, zones: Zones, clock: Clock, start: Point) -> list[Point]:
    lines = [line for line in master.lines("EXDATE") if line.value.strip()]
    return [point for line in lines for point in zones.on(clock, line, order(start).time())]


def _override(original: Point, exception: Component, zones: Zones, clock: Clock, title: str) -> Override:
    line = _need(exception, "DTSTART")
    if (zones.read(line)[1].zone is None) != (clock.zone is None):
        raise _unsupported()
    (start, *_) = zones.on(clock, line, time())
    own = exception.first("SUMMARY")
    return Override(
        original,
        start,
        _end(exception, zones, start, clock),
        own.text if own else title,
        _text(exception, "DESCRIPTION"),
        _text(exception, "LOCATION"),
    )


def _status(component: Component) -> Status:
    line = component.first("STATUS")
    said = line.value.strip().lower() if line else ""
    return Status(said) if said in _STATUSES else Status.CONFIRMED


def _text(component: Component, name: str) -> str:
    line = component.first(name)
    return line.text if line else ""


def _need(component: Component, name: str) -> Line:
    line = component.first(name)
    if line is None:
        raise Unreadable("an event without its time")
    return line
