"""What people do with one occurrence over HTTP."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api import actions
from api.auth import Caller
from api.schemas.reminders import SnoozeIn
from api.services import Services
from core.crypto import FieldCipher
from core.errors import FieldProblem, Invalid, NotFound
from domain import recurrence
from domain.reminder_actions import Action, AlreadyClosed, Snooze
from models.queries import reminder_views, reminders
from models.queries.reminders import Locked

Made = Callable[[str, Locked], Action]
"""The action on an occurrence, made from its key once the rows are locked."""
FIELDS = (
    "id reminder_id key schedule_version nominal instant tzid state late notice_at notified_at snooze_count closed_at"
    " closed_by completed_at acknowledged_at acknowledged_by reason created_at updated_at version"
).split()


def present(row: asyncpg.Record) -> dict[str, Any]:
    """The document of `OccurrenceOut`."""
    is_open = row["state"] in ("scheduled", "due")
    return {field: row[field] for field in FIELDS} | {
        "tzdata": row["tzdata_version"],
        # A closed one announces nothing, whatever it was snoozed to.
        "notice_at": row["notice_at"] if is_open else None,
    }


async def act(
    session: AsyncSession, services: Services, caller: Caller, occurrence_id: UUID, make: Made
) -> asyncpg.Record:
    """Run an action on an occurrence of the caller's household; answers it as it is now.

    Raises `NotFound`, and the refusals of the machine; `already_closed` says who was quicker.
    """
    reminder_id = await reminders.reminder_of(session, occurrence_id)
    if reminder_id is None:
        raise NotFound("no such occurrence")
    try:
        await actions.act(
            session,
            caller.user_id,
            reminder_id,
            lambda locked: make(locked.key_of(occurrence_id), locked),
            occurrence_id=occurrence_id,
        )
    except AlreadyClosed as refused:
        refused.extra["closed_by_name"] = await _first_name(session, services.cipher, refused.extra["closed_by"])
        raise
    return await reminder_views.occurrence_in(session, caller.user_id, occurrence_id)


def snooze(body: SnoozeIn, key: str, caller_zone: str) -> Snooze:
    """The snooze a body asks for. Raises `Invalid` unless it names exactly one time."""
    if len([value for value in (body.minutes, body.until, body.until_local) if value is not None]) != 1:
        raise _invalid("", "one_of", "send minutes, until or until_local")
    if body.minutes is not None:
        return Snooze(key, timedelta(minutes=body.minutes))
    if body.until is not None:
        return Snooze(key, body.until)
    try:
        wall = datetime.fromisoformat(str(body.until_local))
    except ValueError:
        raise _invalid("/until_local", "date_invalid", "no such date or time") from None
    return Snooze(key, recurrence.snooze_until(wall, caller_zone))


async def zone_of(session: AsyncSession, caller: Caller) -> str:
    """The clock of the person who acts."""
    person = await reminder_views.actor(session, caller.user_id)
    if person is None:
        raise NotFound("the account is gone")
    return person.timezone


async def _first_name(session: AsyncSession, cipher: FieldCipher, user_id: object) -> str | None:
    person = await reminder_views.actor(session, UUID(str(user_id))) if user_id else None
    if person is None:
        return None
    return await cipher.open_optional("users.first_name_ct", UUID(str(user_id)), person.first_name_ct)


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(pointer, code, detail),))
