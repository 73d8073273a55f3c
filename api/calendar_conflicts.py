"""What lost where a person and their calendar had changed the same: shown, and put back (calendar-sync.md INV5)."""

import json
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api import actions, appointments, reminders
from api.auth import Caller
from api.calendar_connections import title_of
from api.etag import Precondition
from api.schemas.reminders import ReminderUpdate
from api.services import Services
from core.errors import Conflict, NotFound
from domain.access import Right
from domain.calendar import Event, Field, When
from domain.calendar_json import read_point, value_from_json
from domain.calendar_merge import Side
from domain.calendar_restore import lost_side, restored
from domain.recurrence import Fixed, Once
from domain.reminder_actions import Reschedule
from domain.reminder_event import rescheduled, side_of
from models.queries import calendar_conflicts as queries
from models.queries.reminders import Locked

_VALUES: Final = "calendar_conflicts.values_ct"
_SHOWN: Final = (
    "id connection_id provider appointment_id reminder_id field original winner created_at restored_at".split()
)
_WORDS: Final = {Field.TITLE: "title", Field.NOTES: "description"}
"""What a reminder calls them."""


async def present(services: Services, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `ConflictOut`."""
    values: dict[str, Any] = json.loads(await services.cipher.open(_VALUES, row["id"], row["values_ct"]))
    return {name: row[name] for name in _SHOWN} | values | {"title": await title_of(services, row)}


async def restore(
    session: AsyncSession, services: Services, caller: Caller, conflict_id: UUID, if_match: Precondition
) -> dict[str, Any]:
    """Write the value that lost, as the person's own edit, which then goes to the calendars; repeating it changes
    nothing. `if_match` is of the appointment or reminder. Raises `NotFound`, `NotPermitted`, `PreconditionFailed`, and
    `Conflict` for what is gone or cannot be put back."""
    conflict = await queries.lock(session, caller.user_id, conflict_id)
    if conflict is None:
        raise NotFound("no such conflict")
    row = await queries.find_in(session, caller.user_id, conflict_id)
    shown = await present(services, row)
    if conflict.restored_at is not None:
        return shown
    name, lost = Field(conflict.field), lost_side(Side(conflict.winner))
    if lost is None:
        raise Conflict("Both texts are kept: nothing was lost.", code="nothing_lost")
    if shown["title"] is None:
        raise Conflict("It is gone, or not yours to see any more.", code="event_gone")
    value = value_from_json(name, shown[lost])
    if row["appointment_id"] is not None:
        await _restore_appointment(session, services, caller, shown, value, if_match)
    else:
        await _restore_reminder(session, services, caller, row["reminder_id"], name, value, if_match)
    await queries.mark_restored(session, conflict)
    return await present(services, await queries.find_in(session, caller.user_id, conflict_id))


async def _restore_appointment(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    shown: dict[str, Any],
    value: Any,
    if_match: Precondition,
) -> None:
    original = shown["original"] and read_point(shown["original"])

    def edited(event: Event) -> Event:
        return restored(event, Field(shown["field"]), value, original)

    await appointments.edit(session, services, caller, shown["appointment_id"], if_match, edited)


async def _restore_reminder(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    reminder_id: UUID,
    name: Field,
    value: Any,
    if_match: Precondition,
) -> None:
    if name in _WORDS:
        body = ReminderUpdate.model_validate({_WORDS[name]: value or None})
        await reminders.change(session, services, caller, reminder_id, body, if_match)
    elif name is Field.WHEN:
        await actions.act(session, caller.user_id, reminder_id, _reschedule(value, if_match), Right.MANAGE_REMINDER)
    else:
        raise _not_restorable()


def _reschedule(when: When, if_match: Precondition) -> actions.Asked:
    def asked(locked: Locked) -> Reschedule:
        if_match.check(locked.version)
        schedule = locked.series.schedule
        # Of several times a day, or of what follows a completion, no single event says when.
        if not isinstance(schedule, Fixed | Once) or Field.WHEN in side_of(schedule).decides:
            raise _not_restorable()
        return Reschedule(rescheduled(schedule, when))

    return asked


def _not_restorable() -> Conflict:
    return Conflict("That is decided by the reminder's schedule: change it there.", code="not_restorable")
