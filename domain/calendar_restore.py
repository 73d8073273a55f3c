"""The value that lost a conflict, put back into the event as it is now (calendar-sync.md INV5)."""

from dataclasses import replace
from typing import Any

from domain import appointment_series as series
from domain.calendar import Event, Field, Override, Point
from domain.calendar_merge import Side


def lost_side(winner: Side) -> Side | None:
    """Whose value did not stand; None where both are kept."""
    return {Side.LOCAL: Side.REMOTE, Side.REMOTE: Side.LOCAL}.get(winner)


def restored(event: Event, name: Field, value: Any, original: Point | None) -> Event:
    """The event with this value of a field, or of one occurrence's exception, None for the occurrence as the rule has
    it. Raises `Invalid` for a schedule that cannot be used, `NoSuchOccurrence`."""
    match name:
        case Field.WHEN:
            return series.reschedule(event, value)
        case Field.OVERRIDES if original is not None:
            return series.put(event, value if isinstance(value, Override) else series.plain(event, original))
        case Field.TITLE | Field.NOTES | Field.LOCATION:
            words = {"title": event.title, "notes": event.notes, "location": event.location} | {name.value: value}
            return series.reword(event, **words)
        case _:
            return replace(event, **{name.value: value})
