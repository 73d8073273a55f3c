"""Who is calling: the access token, whether its session still lives, and the caller's rate limit (§4.2).

A request pays for one lookup of the token's hash and one round trip to Redis. Redis only ever shortens the way: a miss,
an error or a slow answer asks Postgres, so losing Redis neither logs anybody out nor lets a revoked session in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.types import Scope

from api.identity import ClientDep, Identity, IdentityDep
from api.rate_limit import Policy, RateLimitState
from api.tokens import LEEWAY, Caller, TokenRefused
from core.errors import Forbidden
from core.redis import Redis, RedisAway
from domain.access import OPERATIONS, Rule
from models.queries import sessions

__all__ = ["Caller", "CurrentUser", "current_user", "limited", "mark_revoked"]

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
            require_fresh(caller)
        return caller


def rule_of(request: Request) -> Rule:
    """The rule of the operation that this request is for."""
    return OPERATIONS[request.scope["route"].operation_id]


def require_fresh(caller: Caller) -> None:
    """Raises `StepUpRequired` unless the caller proved who they are within the last five minutes (ASVS 7.5.1)."""
    if datetime.now(UTC) - caller.auth_time > STEP_UP_AGE:
        raise StepUpRequired("Prove again that it is you: `POST /auth/step-up`, or sign in anew.")


async def admit(identity: Identity, token: str) -> tuple[Caller, RateLimitState]:
    """Whose token it is, of a session that still lives, and where they stand with their limit (not asked further when
    it is used up). Raises `TokenRefused`."""
    caller = identity.tokens.verify(token)
    key = session_key(caller.user_id, caller.session_id)
    known, limit = await identity.limiter.hit_with_session(caller.user_id, key)
    if known == _REVOKED:
        raise TokenRefused("The session has ended.")
    if known != _OK and limit.allowed:
        await _ask_postgres(identity, caller, key)
    return caller, limit


current_user = _CurrentUser()
CurrentUser = Annotated[Caller, Depends(current_user)]


def limited(policy: Policy) -> Callable[..., Awaitable[None]]:
    """A dependency for routes without a caller: counts the network the request comes from."""

    async def count(request: Request, identity: IdentityDep, client: ClientDep) -> None:
        state = await identity.limiter.hit(policy, identity.trace(client.network).hex())
        request.state.rate_limit = state
        if not state.allowed:
            raise state.refusal()

    return count


def session_key(user_id: UUID, session_id: UUID) -> str:
    """Where Redis keeps a session's state; the user's id is the hash tag it shares with the rate limit."""
    return f"sess:{{{user_id}}}:{session_id}"


async def mark_revoked(identity: Identity, user_id: UUID, session_ids: Iterable[UUID]) -> None:
    """Tell Redis, after the commit. Without NX, so that a slow reader's `ok` loses; kept until no token is left.

    When Redis does not answer, another process may still see an `ok` for its last ten seconds: told again until then.
    """
    lifetime = identity.settings.auth.access_token_seconds + LEEWAY + 30
    commands = [("SET", session_key(user_id, session_id), "revoked", "EX", lifetime) for session_id in session_ids]
    for command in commands:
        try:
            await identity.redis.call(*command)
        except RedisAway:
            _RETRIES.add(task := asyncio.get_running_loop().create_task(_insist(identity.redis, command)))
            task.add_done_callback(_RETRIES.discard)


_RETRIES: set["asyncio.Task[None]"] = set()
"""asyncio keeps only weak references to tasks."""


async def _insist(redis: Redis, command: tuple[str | int, ...]) -> None:
    for _ in range(_KNOWN_SECONDS * 2):
        await asyncio.sleep(0.5)
        try:
            await redis.call(*command)
        except RedisAway:
            continue
        return


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
