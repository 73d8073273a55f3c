"""/reminders"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request, Response

from api import occurrences, preview, reminders
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.json_response import computed, document, listing
from api.reminders import OnceAdded, OnceSteered, ReadableReminder
from api.routing import router as make_router
from api.schemas.occurrences import OccurrencePage
from api.schemas.reminders import (
    PreviewIn,
    PreviewOut,
    ReminderIn,
    ReminderOut,
    ReminderPage,
    ReminderUpdate,
)
from domain.reminder_actions import Pause, Resume
from models.queries import notification_preferences
from models.queries import reminder_views as views

router = make_router("/reminders", "reminders")
Days = Annotated[int, Query(ge=1, le=366, description="How far to look ahead.")]


@router.get("", operation_id="list_reminders", response_model=ReminderPage)
async def list_reminders(
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
    pet_id: UUID | None = None,
    state: Literal["active", "paused", "ended"] | None = None,
) -> Response:
    """All reminders of the caller's households, in the order they were made."""
    page = paging.page(f"reminders:{caller.user_id}:{pet_id}:{state}")
    rows = await views.page(services.db, caller.user_id, page.after_id, page.rows, pet_id, state)
    part = page.part_by_id(rows)
    return listing([await reminders.present(services.cipher, row) for row in part.items], part)


@router.post("", operation_id="create_reminder", status_code=201, response_model=ReminderOut)
async def create_reminder(
    request: Request, body: ReminderIn, caller: CurrentUser, session: UnitOfWork, services: ServicesDep, _: OnceAdded
) -> Response:
    """Remind the household of something, once or again and again."""
    made = await reminders.create(session, services, caller, body)
    return document(request, made, made["version"], status=201, location=f"/api/v1/reminders/{made['id']}")


@router.post("/preview", operation_id="preview_schedule", response_model=PreviewOut)
async def preview_schedule(body: PreviewIn, caller: CurrentUser, session: UnitOfWork) -> Response:
    """When a schedule would fire. Saves nothing."""
    where = await reminders.place(session, caller.user_id, body.pet_id)
    return computed(preview.preview(body, where.zones))


@router.get("/{reminder_id:uuid}", operation_id="get_reminder", response_model=ReminderOut)
async def get_reminder(request: Request, reminder: ReadableReminder, services: ServicesDep) -> Response:
    """One reminder."""
    return document(request, await reminders.present(services.cipher, reminder), reminder["version"])


@router.put("/{reminder_id:uuid}", operation_id="replace_reminder", response_model=ReminderOut)
@router.patch("/{reminder_id:uuid}", operation_id="change_reminder", response_model=ReminderOut)
async def change_reminder(
    request: Request,
    reminder_id: UUID,
    body: ReminderUpdate,
    if_match: IfMatch,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Change the fields that are present. Another schedule cancels what was pending and plans from now."""
    changed = await reminders.change(session, services, caller, reminder_id, body, if_match)
    return document(request, changed, changed["version"])


@router.delete("/{reminder_id:uuid}", operation_id="delete_reminder", status_code=204)
async def delete_reminder(reminder_id: UUID, if_match: IfMatch, caller: CurrentUser, session: UnitOfWork) -> None:
    """Never remind of this again."""
    await reminders.remove(session, caller, reminder_id, if_match)


@router.post("/{reminder_id}/pause", operation_id="pause_reminder", response_model=ReminderOut)
async def pause_reminder(
    request: Request,
    reminder_id: UUID,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: OnceSteered,
) -> Response:
    """No notices until resumed."""
    shown = await reminders.steer(session, services, caller, reminder_id, Pause())
    return document(request, shown, shown["version"])


@router.post("/{reminder_id}/resume", operation_id="resume_reminder", response_model=ReminderOut)
async def resume_reminder(
    request: Request,
    reminder_id: UUID,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: OnceSteered,
) -> Response:
    """Go on from now; what fell due meanwhile is not fired back."""
    shown = await reminders.steer(session, services, caller, reminder_id, Resume())
    return document(request, shown, shown["version"])


@router.get("/{reminder_id}/preview", operation_id="preview_reminder", response_model=PreviewOut)
async def preview_reminder(
    reminder: ReadableReminder, caller: CurrentUser, services: ServicesDep, days: Days = 90
) -> Response:
    """When this reminder will fire in the next days; `notice_at` with the caller's quiet hours."""
    choices = await notification_preferences.choices(services.db.reads, caller.user_id)
    return computed(preview.preview_saved(reminder, days, choices))


@router.get("/{reminder_id}/occurrences", operation_id="list_occurrences", response_model=OccurrencePage)
async def list_occurrences(
    request: Request,
    reminder: ReadableReminder,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """The diary of a reminder, newest first: what comes next, what is due, what was done, skipped or missed."""
    page = paging.page(f"occurrences:{reminder['id']}:{caller.user_id}")
    after = (datetime.fromisoformat(page.after[0]), UUID(page.after[1])) if page.after else None
    rows = await views.occurrences(services.db, caller.user_id, reminder["id"], page.rows, after)
    part = page.part(rows, lambda row: (row["instant"].isoformat(), str(row["id"])))
    return listing([occurrences.present(row) for row in part.items], part)
