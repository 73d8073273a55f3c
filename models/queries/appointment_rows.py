"""An appointment's rows and the event they hold: times as a clock shows them, words under the household's key."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import SQLModel

from core.crypto import FieldCipher, Subject
from domain.appointment import State, as_time, point_of, point_text, reach
from domain.calendar import Event, Override, Point, When
from models.appointment import Appointment, AppointmentOverride

WORDS = ("title", "notes", "location")
Row = Appointment | Mapping[str, Any]
OverrideRow = AppointmentOverride | Mapping[str, Any]


async def to_event(cipher: FieldCipher, row: Row, overrides: Sequence[OverrideRow]) -> Event:
    """The event of these rows, its words opened."""
    value = _values(row)
    when = when_of(row)
    return Event(
        when=when,
        alarms=tuple(value["alarms"]),
        exdates=tuple(map(point_of, value["exdates"])),
        overrides=tuple(sorted([await _override(cipher, when, each) for each in overrides], key=_original)),
        status=State(value["status"]).status,
        **await _opened(cipher, "appointments", value),
    )


def when_of(row: Row) -> When:
    """When the event of this row takes place."""
    value = _values(row)
    start, end = (_point(value[name], value["tzid"]) for name in ("starts_at", "ends_at"))
    return When(start, end, value["tzid"], value["rrule"])


async def columns(cipher: FieldCipher, household_id: UUID, row_id: UUID, event: Event) -> dict[str, Any]:
    """What the row of an event holds, its overrides aside."""
    starts_utc, ends_utc = reach(event)
    return {
        **wall(event.when.start, event.when.end),
        "tzid": event.when.tzid,
        "rrule": event.when.rrule,
        "alarms": list(event.alarms),
        "exdates": list(map(point_text, event.exdates)),
        "starts_utc": starts_utc,
        "ends_utc": ends_utc,
        **await sealed(cipher, household_id, "appointments", row_id, event),
    }


async def sealed(
    cipher: FieldCipher, household_id: UUID, table: str, row_id: UUID, said: Event | Override
) -> dict[str, str | None]:
    """The words of an event or an override, for its row in this table."""
    subject = Subject.household(household_id)
    words: dict[str, str | None] = {"title": said.title, "notes": said.notes or None, "location": said.location or None}
    return {
        f"{name}_ct": await cipher.seal_optional(subject, f"{table}.{name}_ct", row_id, word)
        for name, word in words.items()
    }


async def _opened(cipher: FieldCipher, table: str, value: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: await cipher.open_optional(f"{table}.{name}_ct", value["id"], value[f"{name}_ct"]) or "" for name in WORDS
    }


async def _override(cipher: FieldCipher, when: When, row: OverrideRow) -> Override:
    value = _values(row)
    start, end = (_point(value[name], when.tzid) for name in ("starts_at", "ends_at"))
    words = await _opened(cipher, "appointment_overrides", value)
    return Override(point_of(value["original"]), start, end, **words)


def _original(override: Override) -> datetime:
    return as_time(override.original)


def _values(row: Row | OverrideRow) -> Mapping[str, Any]:
    return dict(row) if isinstance(row, SQLModel) else row


def wall(start: Point, end: Point) -> dict[str, Any]:
    """Start and end as they are stored."""
    return {"starts_at": as_time(start), "ends_at": as_time(end)}


def _point(at: datetime, tzid: str | None) -> Point:
    return at if tzid else at.date()
