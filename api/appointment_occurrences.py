"""Single occurrences of a series of appointments: moved, worded otherwise, left out, and as the others again."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api import appointments
from api.appointment_fields import end_of, point
from api.auth import Caller
from api.etag import Precondition
from api.reminders import invalid
from api.schemas.appointments import OccurrenceChange
from api.services import Services
from domain import appointment_series as series
from domain.appointment import as_time, point_of, point_text
from domain.appointment_series import NoSuchOccurrence
from domain.calendar import Event, Override, Point


async def change(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    appointment_id: UUID,
    original: str,
    body: OccurrenceChange,
    if_match: Precondition,
) -> dict[str, Any]:
    """The series with this occurrence as the body says. Raises `NoSuchOccurrence`, `Invalid`, and as `edit`."""

    def put(event: Event) -> Event:
        return series.put(event, _asked(series.plain(event, _named(original)), body, event))

    return await appointments.edit(session, services, caller, appointment_id, if_match, put)


async def leave_out(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    appointment_id: UUID,
    original: str,
    if_match: Precondition,
) -> None:
    """The series without it; repeating it changes nothing. Raises `NoSuchOccurrence`, and as `edit`."""

    def left_out(event: Event) -> Event:
        return series.leave_out(event, _named(original))

    await appointments.edit(session, services, caller, appointment_id, if_match, left_out)


def _asked(plain: Override, body: OccurrenceChange, event: Event) -> Override:
    start = plain.start if body.starts_at is None else point("starts_at", body.starts_at)
    if isinstance(start, datetime) == event.when.all_day:
        raise invalid("starts_at", "span_invalid", "it has times where the series has times, and dates otherwise")
    given = body.model_fields_set
    return Override(
        original=plain.original,
        start=start,
        end=end_of(body.ends_at, start, as_time(plain.end) - as_time(plain.start)),
        title=body.title or plain.title,
        notes=(body.notes or "") if "notes" in given else plain.notes,
        location=(body.location or "") if "location" in given else plain.location,
    )


def _named(original: str) -> Point:
    """The start that a path names, in the form in which answers have it."""
    try:
        found = point_of(original)
    except ValueError:
        raise NoSuchOccurrence("the series has no such occurrence") from None
    if (isinstance(found, datetime) and found.tzinfo is not None) or point_text(found) != original:
        raise NoSuchOccurrence("the series has no such occurrence")
    return found
