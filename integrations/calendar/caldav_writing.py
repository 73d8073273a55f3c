"""An event as an iCalendar resource: a new one, or somebody's with nothing changed but what differs.

What we do not own stays as it is written: attendees, categories, alarms with sounds, lines of other programs, and every
line of ours whose value is still right. Pure; the law is that reading gives back what was written.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from domain.calendar import Event, Override, Point
from domain.calendar_form import order, shifted
from integrations.calendar.caldav_mapping import MARKER, UID_PREFIX, Resource, alarm_minutes, write_marker
from integrations.calendar.ical_lines import Component, Line, Unreadable, written_text
from integrations.calendar.ical_times import Clock, clock_of, definition
from integrations.calendar.protocol import EventRejected, Marker

_PRODUCT: Final = "-//Petfolio//Calendar sync//EN"
_WORDS: Final = {"SUMMARY": "title", "DESCRIPTION": "notes", "LOCATION": "location"}
_OF_THE_SERIES: Final = frozenset({"RRULE", "EXDATE", "CREATED"})


def new_resource(name: UUID, marker: Marker, event: Event, now: datetime) -> str:
    """A resource of ours."""
    stamp = _stamp(now)
    own = [f"UID:{UID_PREFIX}{name}", f"DTSTAMP:{stamp}", f"CREATED:{stamp}", f"LAST-MODIFIED:{stamp}", "SEQUENCE:0"]
    master = Component("VEVENT", [*map(Line, own), written_text(MARKER, write_marker(marker))])
    calendar = Component("VCALENDAR", [Line("VERSION:2.0"), Line(f"PRODID:{_PRODUCT}"), master])
    nothing = Event("", replace(event.when, rrule=None))
    clock = clock_of(event.when.tzid)
    _apply(Resource(calendar, master, {}, clock, nothing), event, clock, moved=True)
    return calendar.to_ical()


def changed_resource(resource: Resource, event: Event, now: datetime, *, marker: bool) -> str:
    """The resource as this event; without our marker if that is not wanted. `resource` is used up. Raises
    `EventRejected` where a line that stands in the way cannot be read."""
    try:
        return _changed(resource, event, now, marker=marker)
    except Unreadable as error:
        raise EventRejected(str(error)) from None


def _changed(resource: Resource, event: Event, now: datetime, *, marker: bool) -> str:
    before = resource.event
    moved = before.when != event.when
    clock = resource.clock if not moved or _can_stay(resource, event.when.tzid) else clock_of(event.when.tzid)
    touched = _apply(resource, event, clock, moved=moved)
    resource.calendar.put("METHOD")  # it is a message's; servers refuse to keep it
    sequence = _sequence(resource.master) + (before != replace(event, title=before.title, notes=before.notes))
    for component in [resource.master, *touched]:
        component.put("DTSTAMP", Line(f"DTSTAMP:{_stamp(now)}"))
        component.put("LAST-MODIFIED", Line(f"LAST-MODIFIED:{_stamp(now)}"))
        component.put("SEQUENCE", Line(f"SEQUENCE:{sequence}"))
    if not marker:
        for component in resource.calendar.parts("VEVENT"):
            component.put(MARKER)
    return resource.calendar.to_ical()


def _can_stay(resource: Resource, zone: str | None) -> bool:
    """Whether new times can be on the clock of the old ones: of the same zone, under a name that the stream defines."""
    clock = resource.clock
    named = clock.tzid in ("", clock.zone, *_defined(resource.calendar))
    return clock.zone == zone and named and not clock.floating


def _apply(resource: Resource, event: Event, clock: Clock, *, moved: bool) -> list[Component]:
    """Make of the resource this event. Answers the exceptions that were touched."""
    before, master = resource.event, resource.master
    for line, field in _WORDS.items():
        _put_text(master, line, getattr(before, field), getattr(event, field))
    if moved:
        _put_times(master, clock, event.when.start, event.when.end)
        master.put("RRULE", *([Line(f"RRULE:{event.when.rrule}")] if event.when.rrule else []))
        _define(resource.calendar, clock, event.when.start.year)
    if before.status is not event.status:
        master.put("STATUS", Line(f"STATUS:{event.status.upper()}"))
    if moved or before.exdates != event.exdates:
        master.put("EXDATE", *(clock.write("EXDATE", each) for each in event.exdates))
    exceptions = [each for each in resource.calendar.parts("VEVENT") if each is not master]
    for component in [master, *exceptions] if before.alarms != event.alarms else []:
        _put_alarms(component, before.alarms, event.alarms)
    return _put_overrides(resource, event, clock, moved=moved)


def _put_overrides(resource: Resource, event: Event, clock: Clock, *, moved: bool) -> list[Component]:
    before = {each.original: each for each in resource.event.overrides}
    shift = order(event.when.start) - order(resource.event.when.start)
    kept: list[Component] = []
    touched: list[Component] = []
    for override in event.overrides:
        key = _known_as(override.original, resource, shift)
        component = resource.exceptions.get(key) if key in before else None
        if component is None or moved or before[key] != override:
            known = before[key] if component else None
            component = component or _exception_of(resource.master)
            _put_override(component, known, override, event, clock, moved=moved)
            touched.append(component)
        kept.append(component)
    # What says only that an occurrence does not take place may stay, as long as that is so.
    kept += [each for key, each in resource.exceptions.items() if not moved and key in event.exdates]
    staying = {id(each) for each in (resource.master, *kept)}
    resource.calendar.remove(
        lambda each: isinstance(each, Component) and each.name == "VEVENT" and id(each) not in staying
    )
    present = {id(each) for each in resource.calendar.content}
    resource.calendar.content.extend(each for each in kept if id(each) not in present)
    return touched


def _known_as(original: Point, resource: Resource, shift: timedelta) -> Point:
    """Under which original an exception was known before its series moved."""
    earlier = shifted(original, -shift)
    return earlier if earlier in resource.exceptions and type(earlier) is type(original) else original


def _exception_of(master: Component) -> Component:
    """An occurrence is written whole, so it begins as a copy of the series: its alarms and its guests are the same."""
    copy = master.copy()
    copy.remove(lambda each: isinstance(each, Line) and each.name in _OF_THE_SERIES)
    if any(line.value.strip().upper() == "CANCELLED" for line in copy.lines("STATUS")):
        copy.put("STATUS")
    return copy


def _put_override(
    component: Component, known: Override | None, override: Override, event: Event, clock: Clock, *, moved: bool
) -> None:
    for line, field in _WORDS.items():
        _put_text(component, line, getattr(known or event, field), getattr(override, field))
    if not override.title:
        component.put("SUMMARY", Line("SUMMARY:"))  # without it, it would have the title of the series
    if moved or known is None:
        component.put("RECURRENCE-ID", clock.write("RECURRENCE-ID", override.original))
    if moved or known is None or (known.start, known.end) != (override.start, override.end):
        _put_times(component, clock, override.start, override.end)


def _put_text(component: Component, name: str, before: str, after: str) -> None:
    if before == after:
        return
    component.put(name, *([written_text(name, after)] if after else []))
    if name == "DESCRIPTION":
        component.put("X-ALT-DESC")  # the same in HTML, for Outlook, which would go on showing it


def _put_times(component: Component, clock: Clock, start: Point, end: Point) -> None:
    component.put("DTSTART", clock.write("DTSTART", start))
    component.put("DTEND", clock.write("DTEND", end))
    component.put("DURATION")


def _put_alarms(component: Component, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    dropped, added = set(before) - set(after), [each for each in after if each not in before]
    component.remove(
        lambda each: isinstance(each, Component) and each.name == "VALARM" and alarm_minutes(each) in dropped
    )
    component.content.extend(map(_alarm, added))


def _alarm(minutes: int) -> Component:
    lines = ("ACTION:DISPLAY", "DESCRIPTION:Reminder", f"TRIGGER:-PT{minutes}M")
    return Component("VALARM", [Line(each) for each in lines])


def _define(calendar: Component, clock: Clock, year: int) -> None:
    """The VTIMEZONE of the clock, unless it is there."""
    if clock.tzid and clock.tzid not in _defined(calendar):
        first = next(at for at, each in enumerate(calendar.content) if isinstance(each, Component))
        calendar.content.insert(first, definition(clock.tzid, year))


def _defined(calendar: Component) -> frozenset[str]:
    return frozenset(line.value for zone in calendar.parts("VTIMEZONE") for line in zone.lines("TZID"))


def _sequence(component: Component) -> int:
    line = component.first("SEQUENCE")
    return int(line.value) if line and line.value.isdecimal() else 0


def _stamp(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
