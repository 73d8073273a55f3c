"""What people do with one occurrence over HTTP."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from api import actions
from api.auth import Caller
from api.idempotency import Once
from api.schemas.occurrences import CompleteIn, SnoozeIn
from api.services import Services
from core.crypto import FieldCipher, Subject
from core.errors import FieldProblem, Invalid, NotFound
from domain import recurrence
from domain.access import Right
from domain.reminder_actions import Action, AlreadyClosed, Complete, Snooze
from models.queries import reminder_views, reminders
from models.queries.reminders import Locked

Made = Callable[[str, Locked], Action]
"""The action on an occurrence, made from its key once the rows are locked."""
OVERRIDE_REASON = "doses.override_reason_ct"
"""Sealed with the id of the occurrence: there is one dose of it."""
FIELDS = (
    "id reminder_id key schedule_version nominal instant tzid state late notice_at notified_at snooze_count closed_at"
    " lead_at closed_by completed_at acknowledged_at acknowledged_by reason created_at updated_at version"
).split()


def present(row: asyncpg.Record) -> dict[str, Any]:
    """The document of `OccurrenceOut`."""
    is_open = row["state"] in ("scheduled", "due")
    return {field: row[field] for field in FIELDS} | {
        "tzdata": row["tzdata_version"],
        # A closed one announces nothing, whatever it was snoozed to.
        "notice_at": row["notice_at"] if is_open else None,
        "lead_at": row["lead_at"] if is_open else None,
    }


def cursor_key(row: asyncpg.Record) -> tuple[str, str, str]:
    """What a cursor keeps of a row of the timeline."""
    return row["instant"].isoformat(), str(row["reminder_id"]), row["key"]


async def act(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    occurrence_id: UUID,
    make: Made,
    *,
    override_reason: str | None = None,
) -> asyncpg.Record:
    """Run an action on an occurrence of the caller's household; answers it as it is now.

    Raises `NotFound`, and the refusals of the machine; `already_closed` and `already_given` say who was quicker.
    """
    home = await reminders.home_of(session, occurrence_id)
    if home is None:
        raise NotFound("no such occurrence")
    reminder_id, household_id = home
    reason_ct = await services.cipher.seal_optional(
        Subject.household(household_id), OVERRIDE_REASON, occurrence_id, override_reason
    )
    try:
        await actions.act(
            session,
            caller.user_id,
            reminder_id,
            lambda locked: make(locked.key_of(occurrence_id), locked),
            Right.ACT,
            occurrence_id=occurrence_id,
            reason_ct=reason_ct,
        )
    except AlreadyClosed as refused:
        await _name_who_was_quicker(session, services.cipher, refused, occurrence_id)
        raise
    return await reminder_views.occurrence_in(session, caller.user_id, occurrence_id)


async def may_act(session: AsyncSession, caller: Caller, shown: Mapping[str, Any]) -> None:
    """Whether the caller may still act on the occurrence of this document. Raises `NotFound`, `NotPermitted`."""
    await actions.lock(session, caller.user_id, UUID(shown["reminder_id"]), Right.ACT, UUID(shown["id"]))


OnceActed = Annotated[None, Depends(Once(may_act))]


def complete(body: CompleteIn, key: str, by: UUID) -> Complete:
    """The completion a body asks for."""
    return Complete(key, by, body.completed_at, overrides=body.override_reason is not None)


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


async def _name_who_was_quicker(
    session: AsyncSession, cipher: FieldCipher, refused: AlreadyClosed, occurrence_id: UUID
) -> None:
    by = refused.extra.get("closed_by")
    person = await reminder_views.actor(session, UUID(str(by))) if by else None
    name = None
    if person is not None:
        name = await cipher.open_optional("users.first_name_ct", UUID(str(by)), person.first_name_ct)
    refused.extra |= {"closed_by_name": name, "occurrence_id": str(occurrence_id)}
    if "given_by" in refused.extra:
        refused.extra["given_by_name"] = name


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(pointer, code, detail),))
