"""/appointments"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from api import appointment_occurrences, appointments
from api.appointments import OnceRestored, ReadableAppointment
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.json_response import document, listing
from api.reminders import OnceAdded
from api.routing import router as make_router
from api.schemas.appointments import (
    AppointmentIn,
    AppointmentOut,
    AppointmentPage,
    AppointmentUpdate,
    OccurrenceChange,
    State,
)
from api.schemas.instant import Instant
from models.queries import appointment_views as views

router = make_router("/appointments", "appointments")


@router.get("", operation_id="list_appointments", response_model=AppointmentPage)
async def list_appointments(
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
    start: Annotated[Instant | None, Query(alias="from", description="What is over by then is left out.")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="What begins then or later is left out.")] = None,
    pet_id: UUID | None = None,
    status: State | None = None,
) -> Response:
    """Appointments of the caller's households by their first start, a series as one. Single occurrences are in
    `GET /integrations/calendar/events`."""
    page = paging.page(f"appointments:{caller.user_id}:{start}:{end}:{pet_id}:{status}")
    after = (datetime.fromisoformat(page.after[0]), UUID(page.after[1])) if page.after else None
    rows = await views.page(
        services.db, caller.user_id, (start, end), page.rows, pet_id=pet_id, status=status, after=after
    )
    part = page.part(rows, lambda row: (row["starts_utc"].isoformat(), str(row["id"])))
    return listing(await appointments.present_all(services, part.items), part)


@router.post("", operation_id="create_appointment", status_code=201, response_model=AppointmentOut)
async def create_appointment(
    request: Request, body: AppointmentIn, caller: CurrentUser, session: UnitOfWork, services: ServicesDep, _: OnceAdded
) -> Response:
    """Plan something, once or again and again."""
    made = await appointments.create(session, services, caller, body)
    return document(request, made, made["version"], status=201, location=f"/api/v1/appointments/{made['id']}")


@router.get("/{appointment_id}", operation_id="get_appointment", response_model=AppointmentOut)
async def get_appointment(request: Request, appointment: ReadableAppointment, services: ServicesDep) -> Response:
    """One appointment, or a series with its exceptions."""
    (shown,) = await appointments.present_all(services, [appointment])
    return document(request, shown, shown["version"])


@router.put("/{appointment_id}", operation_id="replace_appointment", response_model=AppointmentOut)
@router.patch("/{appointment_id}", operation_id="change_appointment", response_model=AppointmentOut)
async def change_appointment(
    request: Request,
    appointment_id: UUID,
    body: AppointmentUpdate,
    if_match: IfMatch,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Change the fields that are present, for the whole series."""
    changed = await appointments.change(session, services, caller, appointment_id, body, if_match)
    return document(request, changed, changed["version"])


@router.delete("/{appointment_id}", operation_id="delete_appointment", status_code=204)
async def delete_appointment(appointment_id: UUID, if_match: IfMatch, caller: CurrentUser, session: UnitOfWork) -> None:
    """Delete it. For 30 days `restore` takes that back."""
    await appointments.remove(session, caller, appointment_id, if_match)


@router.post("/{appointment_id}/restore", operation_id="restore_appointment", response_model=AppointmentOut)
async def restore_appointment(
    request: Request,
    appointment_id: UUID,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: OnceRestored,
) -> Response:
    """Take a deletion of the last 30 days back."""
    shown = await appointments.restore(session, services, caller, appointment_id)
    return document(request, shown, shown["version"])


@router.put(
    "/{appointment_id}/occurrences/{original}", operation_id="change_appointment_once", response_model=AppointmentOut
)
async def change_appointment_once(
    request: Request,
    appointment_id: UUID,
    original: str,
    body: OccurrenceChange,
    if_match: IfMatch,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Move or word one occurrence otherwise, or make it like the others again. `original` is where the rule puts it."""
    changed = await appointment_occurrences.change(session, services, caller, appointment_id, original, body, if_match)
    return document(request, changed, changed["version"])


@router.delete("/{appointment_id}/occurrences/{original}", operation_id="skip_appointment_once", status_code=204)
async def skip_appointment_once(
    appointment_id: UUID,
    original: str,
    if_match: IfMatch,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
) -> None:
    """Leave one occurrence out."""
    await appointment_occurrences.leave_out(session, services, caller, appointment_id, original, if_match)
