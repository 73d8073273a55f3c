"""What can be done with appointments over HTTP: present, create, change, remove, take back; and with one occurrence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from api import appointment_fields as fields
from api import reminders
from api.access import Needed, require
from api.auth import Caller, CurrentUser
from api.etag import Precondition
from api.idempotency import Once
from api.read_only import refuse_changes
from api.reminders import invalid
from api.schemas.appointments import READ_ONLY, AppointmentIn, AppointmentUpdate
from api.services import Services, services_of
from core.errors import NotFound
from core.ids import new_id
from domain import appointment as rules
from domain.access import Right
from domain.appointment import State, point_text
from domain.calendar import Event, Override, When
from models.appointment import Appointment
from models.queries import appointment_views as views
from models.queries import appointments, pets
from models.queries.appointment_rows import to_event
from models.queries.appointments import Loaded, Whose
from models.queries.clock import database_now
from temporal import outbox

UNDO: Final = timedelta(days=30)
"""How long a deletion can be taken back."""
_SHOWN: Final = "id user_id household_id pet_id adopted_link_id status created_at updated_at version".split()
_NEVER_NULL: Final = ("title", "starts_at", "alarms", "status")


async def readable_appointment(
    request: Request, appointment_id: UUID, caller: CurrentUser, needed: Needed
) -> asyncpg.Record:
    """The appointment, for who may do this with it. 404 for who may not know of it, 403 for who may only see it."""
    found = await views.find(services_of(request).db, caller.user_id, appointment_id)
    if found is None:
        raise NotFound("no such appointment")
    await require(request, caller, found, needed)
    return found


ReadableAppointment = Annotated[asyncpg.Record, Depends(readable_appointment)]


def document_of(row: Mapping[str, Any], event: Event) -> dict[str, Any]:
    """The document of `AppointmentOut`."""
    when = event.when
    return {name: row[name] for name in _SHOWN} | {
        **_words(event),
        **_span(when),
        "tzid": when.tzid,
        "all_day": when.all_day,
        "rrule": when.rrule,
        "alarms": list(event.alarms),
        "exdates": list(map(point_text, event.exdates)),
        "overrides": [{"original": point_text(one.original)} | _span(one) | _words(one) for one in event.overrides],
    }


async def present_all(services: Services, rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """The documents of these rows."""
    overrides = await views.overrides(services.db, rows)
    return [document_of(row, await to_event(services.cipher, row, overrides.get(row["id"], ()))) for row in rows]


async def create(session: AsyncSession, services: Services, caller: Caller, body: AppointmentIn) -> dict[str, Any]:
    """A new one. Raises `NotFound`, `NotPermitted`, `Conflict` for a pet that is gone, `Invalid`."""
    where = await reminders.place(session, caller.user_id, body.pet_id)
    where.access.require(Right.ADD_REMINDER)
    refuse_changes(body, {"user_id": caller.user_id, "household_id": where.household_id}, READ_ONLY)
    event = rules.check(fields.new_event(body, where.zones.home))
    whose = Whose(new_id(), where.household_id, caller.user_id, body.pet_id)
    await appointments.add(session, services.cipher, event, whose, State(body.status or State.PLANNED))
    await _changed(session, whose)
    return await _shown(session, services, caller, whose.id)


async def change(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    appointment_id: UUID,
    body: AppointmentUpdate,
    if_match: Precondition,
) -> dict[str, Any]:
    """Write the fields that are present. What changes nothing writes nothing: no new version."""
    loaded = await _lock(session, caller, appointment_id, if_match)
    row, given = loaded.row, body.model_fields_set
    before = await to_event(services.cipher, row, loaded.overrides)
    refuse_changes(body, document_of(dict(row), before), READ_ONLY)
    for field in _NEVER_NULL:
        if field in given and getattr(body, field) is None:
            raise invalid(field, "missing", f"an appointment has {field}")
    pet_id = body.pet_id if "pet_id" in given else row.pet_id
    if pet_id != row.pet_id:
        await _check_place(session, caller, row, pet_id)
    state = State(body.status) if body.status is not None else State(row.status)
    home = await pets.home_zone(session, row.household_id, pet_id)
    event = rules.check(replace(fields.changed_event(before, body, home), status=state.status))
    if (event, state, pet_id) == (before, State(row.status), row.pet_id):
        return document_of(dict(row), before)
    row.pet_id = pet_id
    await appointments.save(session, services.cipher, loaded, event, state)
    await _changed(session, row)
    return await _shown(session, services, caller, row.id)


async def edit(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    appointment_id: UUID,
    if_match: Precondition | None,
    edited: Callable[[Event], Event],
) -> dict[str, Any]:
    """Write what a change makes of its event; answers the document. Raises as `change`, and what `edited` raises."""
    loaded = await _lock(session, caller, appointment_id, if_match)
    before = await to_event(services.cipher, loaded.row, loaded.overrides)
    event = rules.check(edited(before))
    if event != before:
        await appointments.save(session, services.cipher, loaded, event, State(loaded.row.status).after(event.status))
        await _changed(session, loaded.row)
    return await _shown(session, services, caller, appointment_id)


async def remove(session: AsyncSession, caller: Caller, appointment_id: UUID, if_match: Precondition) -> None:
    """Take it out of every list; `restore` takes that back."""
    loaded = await _lock(session, caller, appointment_id, if_match, Right.DELETE_REMINDER)
    await appointments.set_deleted(session, loaded.row, deleted=True)
    await _changed(session, loaded.row)


async def restore(session: AsyncSession, services: Services, caller: Caller, appointment_id: UUID) -> dict[str, Any]:
    """Take the deletion back, within 30 days; what was not deleted stays. Raises `NotFound`, `NotPermitted`."""
    found = await appointments.lock_for(session, caller.user_id, appointment_id, deleted=True)
    if found is None:
        await _lock(session, caller, appointment_id)
        return await _shown(session, services, caller, appointment_id)
    row = found[0].row
    found[1].require(Right.MANAGE_REMINDER, made=row.user_id == caller.user_id)
    if row.deleted_at is None or row.deleted_at < await database_now(session) - UNDO:
        raise NotFound("no such appointment")
    await appointments.set_deleted(session, row, deleted=False)
    await _changed(session, row)
    return await _shown(session, services, caller, appointment_id)


async def may_change(session: AsyncSession, caller: Caller, shown: Mapping[str, Any]) -> None:
    """Whether the caller may still change the appointment of this document. Raises `NotFound`, `NotPermitted`."""
    await _lock(session, caller, UUID(shown["id"]))


OnceRestored = Annotated[None, Depends(Once(may_change))]


async def pet_gone(session: AsyncSession, pet_id: UUID) -> None:
    """A pet was removed: what was planned for it does not take place."""
    for row in await appointments.planned_of(session, pet_id):
        row.status = State.CANCELLED
        await appointments.touch(session, row)
        await _changed(session, row)


async def household_gone(session: AsyncSession, household_id: UUID) -> None:
    """A household without pets ends, and with it what it had planned."""
    for row in await appointments.of_household(session, household_id):
        await appointments.set_deleted(session, row, deleted=True)
        await _changed(session, row)


async def _changed(session: AsyncSession, whose: Appointment | Whose) -> None:
    """Where every write of a person's ends: whoever sees the appointment is told, and so are their calendars."""
    await appointments.say(session, whose.id, whose.household_id, whose.pet_id)
    await outbox.ring_calendars(session, whose.household_id)


async def _shown(session: AsyncSession, services: Services, caller: Caller, appointment_id: UUID) -> dict[str, Any]:
    row = await views.find_in(session, caller.user_id, appointment_id)
    overrides = await views.overrides_in(session, appointment_id)
    return document_of(row, await to_event(services.cipher, row, overrides))


async def _lock(
    session: AsyncSession,
    caller: Caller,
    appointment_id: UUID,
    if_match: Precondition | None = None,
    needed: Right = Right.MANAGE_REMINDER,
) -> Loaded:
    """Its rows, for who may change it; who made it may, as long as they may make any. Raises `NotFound`,
    `NotPermitted`, `PetReadOnly`, `PreconditionFailed`."""
    found = await appointments.lock_for(session, caller.user_id, appointment_id)
    if found is None:
        raise NotFound("no such appointment")
    loaded, access = found
    access.require(needed, made=loaded.row.user_id == caller.user_id)
    if if_match is not None:
        if_match.check(loaded.row.version)
    return loaded


async def _check_place(session: AsyncSession, caller: Caller, row: Appointment, pet_id: UUID | None) -> None:
    where = await reminders.place(session, caller.user_id, pet_id)
    where.access.require(Right.ADD_REMINDER)
    if where.household_id != row.household_id:
        raise invalid("pet_id", "other_household", "an appointment stays in its household")


def _span(one: When | Override) -> dict[str, str | None]:
    return {"starts_at": point_text(one.start), "ends_at": point_text(one.end)}


def _words(one: Event | Override) -> dict[str, str | None]:
    return {"title": one.title, "notes": one.notes or None, "location": one.location or None}
