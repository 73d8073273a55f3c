"""Passkeys of one's own: added, listed, renamed, removed."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api import ceremonies, factors, password_change
from api.auth import lock_account, mark_revoked
from api.ceremonies import Credential
from api.identity import Client, Identity
from api.mail import MailTemplate
from api.tokens import Caller
from core.crypto import Subject
from core.errors import Conflict, Invalid, NotFound
from core.ids import new_id
from domain.mfa import MAX_PASSKEYS, Method
from models.mfa import Passkey
from models.queries import passkeys

_NAME = "webauthn_credentials.name_ct"
_PLAIN = ("id", "backed_up", "transports", "created_at", "last_used_at")


class PasskeyRefused(Invalid):
    """422: not an answer to a challenge of ours, for us, from an origin of ours."""

    code = "passkey_refused"


async def begin(identity: Identity, caller: Caller) -> dict[str, Any]:
    """Options for a new passkey. Raises `Conflict`."""
    known = await of_user(identity, caller.user_id)
    _require_room(known)
    return await ceremonies.creation_options(identity, caller.user_id, await factors.address(identity, caller), known)


async def register(
    identity: Identity, client: Client, caller: Caller, credential: Credential, name: str | None
) -> dict[str, Any]:
    """Take the new passkey. Raises `PasskeyRefused`, `Conflict`."""
    challenge = await ceremonies.spend_challenge(identity, ceremonies.registration_of(caller.user_id), credential)
    made = ceremonies.verified_registration(identity, challenge, credential) if challenge else None
    if made is None:
        raise PasskeyRefused("This is not the answer to the options that you were given last, or not from here.")
    passkey_id = new_id()
    passkey = Passkey(
        id=passkey_id,
        user_id=caller.user_id,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        transports=credential["response"].get("transports") or [],
        backed_up=made.credential_backed_up,
        name_ct=await identity.cipher.seal_optional(Subject.user(caller.user_id), _NAME, passkey_id, name),
    )
    async with identity.db.sessions.begin() as session:
        await lock_account(session, caller)
        _require_room(await passkeys.of_user(session, caller.user_id))
        kept = await passkeys.add(session, passkey)
        if kept is None:
            raise Conflict("This passkey is registered already.", code="passkey_known")
        ended = await factors.changed(session, identity, client, caller, MailTemplate.FACTOR_ADDED, Method.PASSKEY)
    await mark_revoked(identity, caller.user_id, ended)
    return await _present(identity, kept)


async def show(identity: Identity, caller: Caller) -> list[dict[str, Any]]:
    """The caller's passkeys."""
    return [await _present(identity, passkey) for passkey in await of_user(identity, caller.user_id)]


async def rename(identity: Identity, caller: Caller, passkey_id: UUID, name: str | None) -> dict[str, Any]:
    """What the caller calls it. Raises `NotFound`."""
    async with identity.db.sessions.begin() as session:
        await lock_account(session, caller)
        passkey = await _own(session, caller, passkey_id)
        passkey.name_ct = await identity.cipher.seal_optional(Subject.user(caller.user_id), _NAME, passkey_id, name)
    return await _present(identity, passkey)


async def remove(
    identity: Identity, client: Client, caller: Caller, passkey_id: UUID, new_password: str | None
) -> None:
    """Do without it. Raises `NotFound`, `LastCredential`, and as `factors.remove_totp`."""
    new = await factors.accept_new(identity, client, caller, new_password)
    async with identity.db.sessions.begin() as session:
        user, _ = await lock_account(session, caller)
        await passkeys.remove(session, await _own(session, caller, passkey_id))
        if new is not None:
            await password_change.replace(session, identity, client, user, new, "password.change")
        await factors.removed(session, user)
        await factors.require_way_in(session, user.id)
        ended = await factors.changed(session, identity, client, caller, MailTemplate.FACTOR_REMOVED, Method.PASSKEY)
    await mark_revoked(identity, caller.user_id, ended)


async def options_for(identity: Identity, user_id: UUID, scope: str) -> dict[str, Any]:
    """Options for proving that one is this person with one of their passkeys, in `scope`. Raises `Conflict`."""
    known = await of_user(identity, user_id)
    if not known:
        raise Conflict("This account has no passkey.", code="no_passkey")
    return await ceremonies.request_options(identity, scope, user_id, known)


async def of_user(identity: Identity, user_id: UUID) -> list[Passkey]:
    """A person's passkeys, the first one first."""
    async with identity.db.sessions() as session:
        return await passkeys.of_user(session, user_id)


def _require_room(known: list[Passkey]) -> None:
    if len(known) >= MAX_PASSKEYS:
        raise Conflict(f"An account has at most {MAX_PASSKEYS} passkeys.", code="too_many_passkeys")


async def _own(session: AsyncSession, caller: Caller, passkey_id: UUID) -> Passkey:
    passkey = await passkeys.lock(session, caller.user_id, passkey_id)
    if passkey is None:
        raise NotFound("There is no such passkey.")
    return passkey


async def _present(identity: Identity, passkey: Passkey) -> dict[str, Any]:
    name = await identity.cipher.open_optional(_NAME, passkey.id, passkey.name_ct)
    return {"name": name, **{field: getattr(passkey, field) for field in _PLAIN}}
