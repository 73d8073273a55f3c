"""A person's own account, as they see and change it (product.md §3.3)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api import actions
from api.auth import Caller
from api.etag import Precondition
from api.identity import Identity
from api.read_only import refuse_changes
from api.schemas.users import READ_ONLY, ProfileUpdate
from core.crypto import FieldCipher, Subject
from core.errors import NotFound
from models.queries import users
from models.queries.clock import database_now
from models.user import User

ZoneListener = Callable[[AsyncSession, UUID], Awaitable[None]]
ZONE_LISTENERS: list[ZoneListener] = [actions.zone_changed]
"""Called in the transaction in which a person moved to another zone: what follows that zone is planned again."""

_SEALED = ("first_name", "last_name", "phone")
_PLAIN = ("timezone", "locale", "subscription_tier", "created_at", "updated_at", "version")


async def show(identity: Identity, caller: Caller) -> dict[str, Any]:
    """The profile document."""
    user = await users.find(identity.db.reads, caller.user_id)
    if user is None:
        raise _gone()
    return await present(identity.cipher, user)


async def change(
    session: AsyncSession, identity: Identity, caller: Caller, body: ProfileUpdate, if_match: Precondition
) -> dict[str, Any]:
    """Change the fields that are present. Raises `PreconditionFailed`, and `Invalid` for a changed read-only field."""
    user = await users.lock(session, caller.user_id)
    if user is None:
        raise _gone()
    if_match.check(user.version)
    refuse_changes(body, await present(identity.cipher, dict(user)), READ_ONLY)
    moved = body.timezone is not None and body.timezone != user.timezone
    await _apply(identity.cipher, user, body)
    user.version += 1
    user.updated_at = await database_now(session)
    await session.flush()
    if moved:
        for listener in ZONE_LISTENERS:
            await listener(session, user.id)
    return await present(identity.cipher, dict(user))


async def present(cipher: FieldCipher, user: Mapping[str, Any]) -> dict[str, Any]:
    """What the owner may see of a row: never the password's hash, only whether there is one."""
    return {
        "id": user["id"],
        "email": await cipher.open("users.email_ct", user["id"], user["email_ct"]),
        **{name: await cipher.open_optional(f"users.{name}_ct", user["id"], user[f"{name}_ct"]) for name in _SEALED},
        **{name: user[name] for name in _PLAIN},
        "has_password": user["password_hash"] is not None,
    }


async def _apply(cipher: FieldCipher, user: User, body: ProfileUpdate) -> None:
    present = body.model_fields_set
    for name in _SEALED:
        if name in present:
            column = f"{name}_ct"
            sealed = await cipher.seal_optional(Subject.user(user.id), f"users.{column}", user.id, getattr(body, name))
            setattr(user, column, sealed)
    user.timezone = body.timezone or user.timezone
    user.locale = body.locale or user.locale


def _gone() -> NotFound:
    return NotFound("the account is gone")
