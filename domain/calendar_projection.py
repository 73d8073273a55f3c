"""What a side can hold of an event, and how what it says is read back over what it could not hold.

Laws (calendar-sync.md §4.1, property tests): `lift(project(x), x) == x`, and `project(lift(r, b)) == r` for every `r`
that the side can hold. So a field that a provider cannot express keeps its value, and nothing that it can express is
overlooked. All events are canonical.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from domain.calendar import ALL_FIELDS, Capabilities, Event, Field, Override, Point, Status, When

_EMPTY: Final[Mapping[Field, Any]] = {
    Field.NOTES: "",
    Field.LOCATION: "",
    Field.ALARMS: (),
    Field.EXDATES: (),
    Field.OVERRIDES: (),
    Field.STATUS: Status.CONFIRMED,
}


def shows(event: Event, side: Capabilities) -> bool:
    """Whether the event is there at all: what does not take place is not, where that cannot be said."""
    return event.status is not Status.CANCELLED or Status.CANCELLED in side.statuses


def project(event: Event, side: Capabilities) -> Event:
    """The event as far as the side can hold it."""
    held = replace(
        event,
        title=event.title[: side.title_length].rstrip(),
        notes=event.notes[: side.notes_length].rstrip(),
        location=event.location[: side.location_length].rstrip(),
        when=_named(event.when, side),
        alarms=_alarms(event.alarms, side),
        overrides=tuple(_shortened(each, side) for each in event.overrides),
        status=event.status if event.status in side.statuses else Status.CONFIRMED,
    )
    return replace(held, **{str(name): empty for name, empty in _EMPTY.items() if name not in side.fields})


def lift(remote: Event, base: Event, side: Capabilities, seen: Event | None = None) -> Event:
    """What the side says, over what it could not hold of `base`. `seen` is how it wrote that down, where it did not
    write what it was given: a server's own way with text is no change."""
    shown = project(base, side) if seen is None else seen
    lifted: dict[str, Any] = {}
    for name in ALL_FIELDS:
        said = getattr(remote, name)
        if said != getattr(shown, name):
            lifted[str(name)] = _LIFTS[name](said, base, shown, side) if name in _LIFTS else said
    return replace(base, **lifted)


def changed(before: Event, after: Event, side: Capabilities | None = None) -> frozenset[Field]:
    """The fields that differ; with a side, those whose difference it can see."""
    if side is not None:
        before, after = project(before, side), project(after, side)
    return frozenset(name for name in ALL_FIELDS if getattr(before, name) != getattr(after, name))


def _lift_when(said: When, base: Event, _: Event, side: Capabilities) -> When:
    """A zone that the side calls by another name keeps its own."""
    same_zone = said.tzid is not None and said.tzid == _named(base.when, side).tzid
    return replace(said, tzid=base.when.tzid) if same_zone else said


def _lift_alarms(said: tuple[int, ...], base: Event, _: Event, side: Capabilities) -> tuple[int, ...]:
    """Alarms that the side had no room for stay behind those it has, unless it has room now: then they were removed."""
    kept = [each for each in base.alarms[: side.alarms] if each in said]
    shown = [*kept, *(each for each in said if each not in kept)]
    if len(shown) < side.alarms:
        return tuple(shown)
    return (*shown, *(each for each in base.alarms[side.alarms :] if each not in shown))


def _lift_overrides(said: tuple[Override, ...], base: Event, shown: Event, side: Capabilities) -> tuple[Override, ...]:
    ours: dict[Point, Override] = {each.original: each for each in base.overrides}
    return tuple(ours[each.original] if each in shown.overrides and each.original in ours else each for each in said)


_LIFTS: Final[Mapping[Field, Callable[[Any, Event, Event, Capabilities], Any]]] = {
    Field.WHEN: _lift_when,
    Field.ALARMS: _lift_alarms,
    Field.OVERRIDES: _lift_overrides,
}


def _named(when: When, side: Capabilities) -> When:
    return replace(when, tzid=side.zones.get(when.tzid, when.tzid)) if when.tzid else when


def _alarms(alarms: tuple[int, ...], side: Capabilities) -> tuple[int, ...]:
    """Sorted: a side keeps no order. Which of them it keeps, where not all, the order here decides."""
    return tuple(sorted(alarms[: side.alarms]))


def _shortened(override: Override, side: Capabilities) -> Override:
    return replace(
        override,
        title=override.title[: side.title_length].rstrip(),
        notes=override.notes[: side.notes_length].rstrip() if Field.NOTES in side.fields else "",
        location=override.location[: side.location_length].rstrip() if Field.LOCATION in side.fields else "",
    )
