"""Events as JSON, for what is remembered between two syncs. Only what differs from an empty event is written."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from domain.calendar import Event, Field, Override, Point, Status, When


def to_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object; `from_json` is its inverse."""
    written = {
        "title": event.title,
        "when": when_to_json(event.when),
        "notes": event.notes,
        "location": event.location,
        "alarms": list(event.alarms),
        "exdates": [point.isoformat() for point in event.exdates],
        "overrides": [_override_to_json(each) for each in event.overrides],
        "status": "" if event.status is Status.CONFIRMED else event.status.value,
    }
    return {name: value for name, value in written.items() if value or name == "title"}


def from_json(written: Mapping[str, Any]) -> Event:
    """The event of an object that `to_json` made."""
    return Event(
        title=written["title"],
        when=when_from_json(written["when"]),
        notes=written.get("notes", ""),
        location=written.get("location", ""),
        alarms=tuple(written.get("alarms", ())),
        exdates=_points(written.get("exdates", ())),
        overrides=tuple(_override_from_json(each) for each in written.get("overrides", ())),
        status=Status(written.get("status", Status.CONFIRMED)),
    )


def when_to_json(when: When) -> dict[str, str]:
    """The schedule alone."""
    written = {"start": when.start.isoformat(), "end": when.end.isoformat(), "tzid": when.tzid, "rrule": when.rrule}
    return {name: value for name, value in written.items() if value}


def when_from_json(written: Mapping[str, str]) -> When:
    """The schedule of an object that `when_to_json` made."""
    return When(read_point(written["start"]), read_point(written["end"]), written.get("tzid"), written.get("rrule"))


def read_point(text: str) -> Point:
    """A wall time or a date, as `isoformat` writes it."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _points(written: Sequence[str]) -> tuple[Point, ...]:
    return tuple(map(read_point, written))


def _override_to_json(override: Override) -> dict[str, str]:
    points = {name: getattr(override, name).isoformat() for name in ("original", "start", "end")}
    words = {name: getattr(override, name) for name in ("title", "notes", "location")}
    return points | words


def _override_from_json(written: Mapping[str, str]) -> Override:
    points = {name: read_point(written[name]) for name in ("original", "start", "end")}
    return Override(**points, title=written["title"], notes=written["notes"], location=written["location"])


def value_to_json(value: Any) -> Any:
    """The value of one field (`domain.calendar.Field`), or of one exception; None stays None."""
    match value:
        case When():
            return when_to_json(value)
        case Override():
            return _override_to_json(value)
        case tuple():
            return [each.isoformat() if isinstance(each, date) else value_to_json(each) for each in value]
        case _:
            return value


def value_from_json(name: Field, written: Any) -> Any:
    """The value of a field that `value_to_json` wrote; of `overrides` one exception."""
    if written is None:
        return None
    match name:
        case Field.WHEN:
            return when_from_json(written)
        case Field.ALARMS:
            return tuple(written)
        case Field.EXDATES:
            return _points(written)
        case Field.OVERRIDES:
            return _override_from_json(written)
        case Field.STATUS:
            return Status(written)
        case _:
            return written
