"""/notifications: what the app shows beside mails. Lines of tasks that are done are not shown any more."""

from typing import Any
from uuid import UUID

import asyncpg
from fastapi import Request, Response

from api.auth import CurrentUser
from api.cursor import CursorText, Limit
from api.deps import ServicesDep, UnitOfWork
from api.json_response import computed, listing
from api.routing import router as make_router
from api.schemas.notifications import NotificationOut, NotificationPage, UnreadOut
from core.crypto import FieldCipher
from core.errors import NotFound
from models.queries import notifications as queries

router = make_router("/notifications", "notifications")
PLAIN = ("id", "step", "reminder_id", "occurrence_id", "pet_id", "nominal", "tzid", "late", "state", "read_at")


@router.get("", operation_id="list_notifications", response_model=NotificationPage)
async def list_notifications(
    request: Request, caller: CurrentUser, services: ServicesDep, limit: Limit = 50, cursor: CursorText = None
) -> Response:
    """What is due and was missed, the newest notice first."""
    binding = f"notifications:{caller.user_id}"
    page = services.cursors.page(limit, cursor, binding)
    rows = await queries.page(services.db, caller.user_id, UUID(page.after[0]) if page.after else None, limit + 1)
    rows, following, headers = services.cursors.answer(request, binding, limit, rows, lambda row: (str(row["id"]),))
    return listing([await _present(services.cipher, row) for row in rows], following, headers)


@router.get("/unread", operation_id="count_unread_notifications", response_model=UnreadOut)
async def count_unread_notifications(caller: CurrentUser, services: ServicesDep) -> Response:
    """How many are unread."""
    return computed({"unread": await queries.unread(services.db, caller.user_id)})


@router.post("/{notification_id}/read", operation_id="read_notification", response_model=NotificationOut)
async def read_notification(
    notification_id: UUID, caller: CurrentUser, session: UnitOfWork, services: ServicesDep
) -> Response:
    """It was read. Repeating it keeps the first time."""
    row = await queries.read(session, caller.user_id, notification_id)
    if row is None:
        raise NotFound("no such notification")
    return computed(await _present(services.cipher, row))


async def _present(cipher: FieldCipher, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `NotificationOut`: its words are made now, so an edited title is the one that is read."""
    return {field: row[field] for field in PLAIN} | {
        "kind": row["template"],
        "title": await cipher.open("reminders.title_ct", row["reminder_id"], row["title_ct"]),
        "pet_name": await cipher.open_optional("pets.name_ct", row["pet_id"], row["pet_name_ct"])
        if row["pet_id"]
        else None,
        "due": row["instant"],
        "created_at": row["created_at"],
    }
