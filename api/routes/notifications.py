"""/notifications: what the app shows beside mails. Lines of tasks that are done are not shown any more."""

from typing import Annotated, Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import Body, Response

from api import suppression
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.identity import ClientDep
from api.json_response import computed, listing
from api.routing import router as make_router
from api.schemas.notifications import NotificationOut, NotificationPage, ReadAllIn, SuppressionOut, UnreadOut
from core.crypto import FieldCipher
from core.errors import NotFound
from models.queries import notifications as queries

router = make_router("/notifications", "notifications")
PLAIN = "id category step reminder_id occurrence_id pet_id nominal tzid late state read_at created_at".split()


@router.get("", operation_id="list_notifications", response_model=NotificationPage)
async def list_notifications(caller: CurrentUser, services: ServicesDep, paging: PagingDep) -> Response:
    """What is due, was missed or happened to the account, the newest notice first."""
    page = paging.page(f"notifications:{caller.user_id}")
    rows = await queries.page(services.db, caller.user_id, page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await _present(services.cipher, row) for row in part.items], part)


@router.get("/unread", operation_id="count_unread_notifications", response_model=UnreadOut)
async def count_unread_notifications(caller: CurrentUser, services: ServicesDep) -> Response:
    """How many are unread."""
    return computed({"unread": await queries.unread(services.db, caller.user_id)})


@router.get("/suppression", operation_id="get_mail_suppression", response_model=SuppressionOut)
async def get_mail_suppression(caller: CurrentUser, services: ServicesDep) -> Response:
    """Whether mail to my address came back or was reported as spam, so that only the most necessary is sent there."""
    return computed(await suppression.show(services.db.reads, caller))


@router.delete(
    "/suppression",
    operation_id="lift_mail_suppression",
    status_code=204,
    responses={409: {"description": "`complaint_stands`: mail to this address was reported as spam."}},
)
async def lift_mail_suppression(
    caller: CurrentUser, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> None:
    """My address works again: write to it until it bounces again. Repeating it changes nothing."""
    await suppression.lift(session, services.db.reads, services.identity, client, caller)


@router.post("/{notification_id}/read", operation_id="read_notification", response_model=NotificationOut)
async def read_notification(
    notification_id: UUID, caller: CurrentUser, session: UnitOfWork, services: ServicesDep
) -> Response:
    """It was read. Repeating it keeps the first time."""
    row = await queries.read(session, caller.user_id, notification_id)
    if row is None:
        raise NotFound("no such notification")
    return computed(await _present(services.cipher, row))


@router.post("/read-all", operation_id="read_all_notifications", response_model=UnreadOut)
async def read_all_notifications(
    caller: CurrentUser, session: UnitOfWork, body: Annotated[ReadAllIn, Body()] = ReadAllIn()
) -> Response:
    """All of them were read, up to the newest that was seen: what came since stays unread. Repeating it changes
    nothing."""
    return computed({"unread": await queries.read_all(session, caller.user_id, body.up_to)})


async def _present(cipher: FieldCipher, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `NotificationOut`: its words are made now, so an edited title is the one that is read."""
    params = await cipher.open_optional("deliveries.params_ct", row["delivery_id"], row["params_ct"])
    return {field: row[field] for field in PLAIN} | {
        "kind": row["template"],
        "title": await cipher.open_optional("reminders.title_ct", row["reminder_id"], row["title_ct"]),
        "pet_name": await cipher.open_optional("pets.name_ct", row["pet_id"], row["pet_name_ct"]),
        "due": row["instant"],
        "params": orjson.loads(params) if params else {},
    }
