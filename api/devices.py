"""The devices a person is told on."""

from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.reminders import invalid
from api.schemas.devices import DeviceIn
from api.services import Services
from core.crypto import Subject
from core.ids import new_id
from domain.push import is_push_service
from models.notification import DeviceKind
from models.queries import devices as queries

_TOKEN: Final = "devices.token_ct"  # noqa: S105 - a column
_LABEL: Final = "devices.label_ct"


async def show(services: Services, caller: Caller) -> list[dict[str, Any]]:
    """Those that can be reached."""
    return [await _present(services, caller, row) for row in await queries.of_user(services.db, caller.user_id)]


async def register(session: AsyncSession, services: Services, caller: Caller, body: DeviceIn) -> dict[str, Any]:
    """Take the device; one that is known is kept, under the session that asks now. Raises `Invalid`."""
    token, identity = _target(services, body)
    owner, index = Subject.user(caller.user_id), services.device_index(identity)
    device_id = await queries.known(session, caller.user_id, index) or new_id()
    row = await queries.register(
        session,
        caller.user_id,
        caller.session_id,
        DeviceKind(body.kind),
        device_id=device_id,
        token_ct=await services.cipher.seal(owner, _TOKEN, device_id, token),
        token_bidx=index,
        label_ct=await services.cipher.seal_optional(owner, _LABEL, device_id, body.label),
    )
    return await _present(services, caller, row)


def _target(services: Services, body: DeviceIn) -> tuple[str, str]:
    """(what its push service is asked with, what makes it this device). Raises `Invalid`."""
    wanted, other = ("token", "subscription") if body.kind == "fcm" else ("subscription", "token")
    if getattr(body, other) is not None:
        raise invalid(other, "not_of_this_kind", f"a device of kind {body.kind} has a {wanted}")
    if body.token is not None:
        return body.token, f"fcm {body.token}"
    if body.subscription is None:
        raise invalid(wanted, "missing", f"a device of kind {body.kind} has a {wanted}")
    endpoint = body.subscription.endpoint
    if not is_push_service(endpoint, services.settings.web_push_services):
        raise invalid("subscription/endpoint", "not_a_push_service", "this is not the address of a push service")
    target = {"endpoint": endpoint, "keys": body.subscription.keys.model_dump()}
    return orjson.dumps(target).decode(), f"webpush {endpoint}"


async def _present(services: Services, caller: Caller, row: asyncpg.Record) -> dict[str, Any]:
    shown = {name: row[name] for name in ("id", "kind", "last_used_at", "created_at")}
    label = await services.cipher.open_optional(_LABEL, row["id"], row["label_ct"])
    return shown | {"label": label, "current": row["session_id"] == caller.session_id}
