"""Who is calling: the access token, whether its session still lives, and the caller's rate limit (§4.2).

A request pays for one lookup of the token's hash and one round trip to Redis. Redis only ever shortens the way: a miss,
an error or a slow answer asks Postgres, so losing Redis neither logs anybody out nor lets a revoked session in.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Scope

from api.browser import refresh_cookie
from api.identity import Client, ClientDep, Identity, IdentityDep
from api.rate_limit import Policy, RateLimitState
from api.tokens import LEEWAY, Caller, KeyUnknown, TokenRefused
from core.errors import Forbidden
from core.failpoint import failpoint
from core.redis import RedisAway
from domain.access import OPERATIONS, Rule
from models.queries import sessions, users
from models.session import Session
from models.user import User, UserState

__all__ = ["Caller", "CurrentUser", "Leaving", "current_user", "leaving", "limited", "lock_account", "mark_revoked"]

STEP_UP_AGE = timedelta(minutes=5)
_KNOWN_SECONDS = 10
_REVOKED, _OK = b"revoked", b"ok"


class StepUpRequired(Forbidden):
    """403: the caller proved too long ago who they are for something this sensitive."""

    code = "step_up_required"


class _CurrentUser(SecurityBase):
    """The dependency. It reads the header itself: one scan of raw headers instead of three layers of objects."""

    scheme_name = "bearer"
    model = HTTPBearer(bearerFormat="JWT", description="The `access_token` of `POST /api/v1/auth/login`.")

    async def __call__(self, request: Request) -> Caller:
        """The caller. Raises `TokenRefused` (401), `TooManyRequests` (429), `StepUpRequired` (403)."""
        caller, request.state.rate_limit = await admit(request.app.state.services.identity, _bearer(request.scope))
        if not request.state.rate_limit.allowed:
            raise request.state.rate_limit.refusal()
        if rule_of(request).fresh:
            await require_fresh(request.app.state.services.identity, caller)
        request.state.caller = caller
        return caller


def rule_of(request: Request) -> Rule:
    """The rule of the operation that this request is for."""
    return OPERATIONS[request.scope["route"].operation_id]


async def require_fresh(identity: Identity, caller: Caller) -> None:
    """Raises `StepUpRequired` unless the caller proved who they are within the last five minutes (ASVS 7.5.1): by their
    token, which step-up renews, and by their session, whose proof another address takes back."""
    by_token = datetime.now(UTC) - caller.auth_time <= STEP_UP_AGE
    if not by_token or not await sessions.proved_within(identity.db.reads, caller.session_id, STEP_UP_AGE):
        raise StepUpRequired("Prove again that it is you: `POST /auth/step-up`, or sign in anew.")


async def lock_account(session: AsyncSession, caller: Caller) -> tuple[User, Session]:
    """The caller's account and session, locked: where anything sensitive begins that changes them. A request is let in
    seconds before, and what ended its session meanwhile (a new password, a sign-out) has the last word. Raises
    `TokenRefused`."""
    user = await users.lock(session, caller.user_id)
    active = user is not None and user.state == UserState.ACTIVE
    row = await sessions.lock_live(session, caller.session_id, user) if user is not None and active else None
    if user is None or row is None:
        raise TokenRefused("The session has ended.")
    return user, row


async def admit(identity: Identity, token: str) -> tuple[Caller, RateLimitState]:
    """Whose token it is, of a session that still lives, and where they stand with their limit (not asked further when
    it is used up). Raises `TokenRefused`."""
    try:
        caller = identity.tokens.verify(token)
    except KeyUnknown:
        caller = await identity.signing_keys.verify(token)
    if caller.session_id in identity.ended:
        raise TokenRefused("The session has ended.")
    key = session_key(caller.user_id, caller.session_id)
    known, limit = await identity.limiter.hit_with_session(caller.user_id, key)
    if known == _REVOKED:
        raise TokenRefused("The session has ended.")
    if known != _OK and limit.allowed:
        await _ask_postgres(identity, caller, key)
    return caller, limit


current_user = _CurrentUser()
CurrentUser = Annotated[Caller, Depends(current_user)]


class _Leaving(SecurityBase):
    """As `CurrentUser`, and None for a browser that shows its cookie alone: its access token may have expired."""

    scheme_name, model = _CurrentUser.scheme_name, _CurrentUser.model

    async def __call__(self, request: Request, identity: IdentityDep, client: ClientDep) -> Caller | None:
        """Raises as `CurrentUser`, and `ForeignOrigin`."""
        if "authorization" in request.headers or refresh_cookie(request, identity.settings) is None:
            return await current_user(request)
        await _count(request, identity, client, "anonymous")
        return None


leaving = _Leaving()
Leaving = Annotated[Caller | None, Depends(leaving)]


def limited(policy: Policy) -> Callable[..., Awaitable[None]]:
    """A dependency for routes without a caller: counts the network the request comes from."""

    async def dependency(request: Request, identity: IdentityDep, client: ClientDep) -> None:
        await _count(request, identity, client, policy)

    return dependency


async def _count(request: Request, identity: Identity, client: Client, policy: Policy) -> None:
    """Count the request's network. Raises `TooManyRequests`."""
    state = await identity.limiter.hit(policy, identity.trace(client.network).hex())
    request.state.rate_limit = state
    if not state.allowed:
        raise state.refusal()


def session_key(user_id: UUID, session_id: UUID) -> str:
    """Where Redis keeps a session's state; the user's id is the hash tag it shares with the rate limit."""
    return f"sess:{{{user_id}}}:{session_id}"


async def mark_revoked(identity: Identity, user_id: UUID, session_ids: Iterable[UUID]) -> None:
    """Tell Redis, after the commit. Without NX, so that a slow reader's `ok` loses; kept until no token is left.

    Who is not told this way learns it from `EndedSessions`, before the `ok` of another process has run out.
    """
    failpoint("session_revoked")
    lifetime = identity.settings.auth.access_token_seconds + LEEWAY + 30
    for session_id in session_ids:
        with contextlib.suppress(RedisAway):
            await identity.redis.call("SET", session_key(user_id, session_id), "revoked", "EX", lifetime)


async def _ask_postgres(identity: Identity, caller: Caller, key: str) -> None:
    if not await sessions.is_live(identity.db.reads, caller.session_id, caller.user_id):
        raise TokenRefused("The session has ended.")
    identity.redis.tell("SET", key, "ok", "NX", "EX", _KNOWN_SECONDS)


def _bearer(scope: Scope) -> str:
    """The token of the one `Authorization` header. The only place an access token is read from."""
    found: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) != 1 or found[0][:7].lower() != b"bearer ":
        raise TokenRefused("Send one `Authorization: Bearer` header with an access token.")
    return found[0][7:].strip().decode("latin-1")
