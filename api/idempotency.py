"""`Idempotency-Key`: one key has one effect (identity-and-security.md §4.10).

The key's row is inserted in the transaction of the effect. A second request with the same key waits for the first to
commit and is then given its stored answer; where it would wait too long it gets 409. Validation failures roll back
with everything else and are not stored. Authorisation runs first: handlers declare `Idempotent` as last parameter, and
those that authorise by themselves a `Once` that says how.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller, CurrentUser
from api.deps import UnitOfWork
from api.services import services_of
from core.crypto import Subject
from core.errors import Conflict, Invalid, Malformed
from core.ids import new_id

LOCK_NOT_AVAILABLE = "55P03"
_KEY = re.compile(r'"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,128}"|[A-Za-z0-9_.:-]{1,128}')
_STORED_HEADERS = ("location", "etag")

_CLAIM = text(
    """
    INSERT INTO idempotency_keys (user_id, method, route, key, row_id, fingerprint)
    VALUES (:user_id, :method, :route, :key, :row_id, :fingerprint)
    ON CONFLICT (user_id, method, route, key) DO UPDATE
        SET row_id = EXCLUDED.row_id, fingerprint = EXCLUDED.fingerprint, status = NULL, headers = NULL,
            body_ct = NULL, created_at = clock_timestamp()
        WHERE idempotency_keys.created_at < clock_timestamp() - interval '24 hours'
    RETURNING row_id
    """
)
_FIND = text(
    """
    SELECT row_id, fingerprint, status, headers, body_ct FROM idempotency_keys
    WHERE user_id = :user_id AND method = :method AND route = :route AND key = :key
    """
)
_STORE = text(
    "UPDATE idempotency_keys SET status = :status, headers = :headers, body_ct = :body WHERE row_id = :row_id"
)


class Replay(Exception):
    """Carries the answer that was given before; `api/routing.py` sends it instead of running the handler."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


Allowed = Callable[[AsyncSession, Caller, Mapping[str, Any]], Awaitable[None]]
"""Raises as the handler would, unless the caller may still do what was answered with this document."""


class Once:
    """The dependency of a POST that claims the key of its request, if it has one. `allowed`: for a handler that
    authorises by itself, because a replay never gets there."""

    def __init__(self, allowed: Allowed | None = None) -> None:
        self._allowed = allowed

    async def __call__(self, request: Request, caller: CurrentUser, session: UnitOfWork) -> None:
        """Raises 400 `invalid_idempotency_key`, 422 `idempotency_key_reused`, 409 `idempotency_in_progress`, or
        `Replay`."""
        replay = await _claim(request, caller, session)
        if replay is None:
            return
        if self._allowed is not None:
            await self._allowed(session, caller, json.loads(bytes(replay.response.body)))
        raise replay


Idempotent = Annotated[None, Depends(Once())]


async def _claim(request: Request, caller: Caller, session: AsyncSession) -> Replay | None:
    key = key_of(request)
    if key is None:
        return None
    scope = {"user_id": caller.user_id, "method": request.method, "route": _template(request), "key": key}
    fingerprint = hashlib.sha256(f"{request.url.path}?{request.url.query}\0".encode() + await request.body()).digest()
    row_id = new_id()
    try:
        claimed = await session.execute(_CLAIM, scope | {"row_id": row_id, "fingerprint": fingerprint})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        raise Conflict(
            "the first request with this key still runs", code="idempotency_in_progress", retry_after=1
        ) from error
    if claimed.first() is not None:
        request.state.idempotency = (row_id, caller.user_id)
        return None
    stored = (await session.execute(_FIND, scope)).one()
    if stored.fingerprint != fingerprint:
        raise Invalid("this Idempotency-Key was used for another request", code="idempotency_key_reused")
    body = await services_of(request).cipher.open("idempotency_keys.body_ct", stored.row_id, stored.body_ct)
    headers = json.loads(stored.headers) | {"Idempotent-Replayed": "true"}
    return Replay(Response(body, stored.status, headers, media_type="application/json" if body else None))


async def remember(request: Request, response: Response) -> None:
    """Store the answer beside the effect, under the person's own key. A no-op without a claimed key."""
    claimed = getattr(request.state, "idempotency", None)
    if claimed is None:
        return
    row_id, user_id = claimed
    body = await services_of(request).cipher.seal(
        Subject.user(user_id), "idempotency_keys.body_ct", row_id, bytes(response.body).decode()
    )
    headers = {name: response.headers[name] for name in _STORED_HEADERS if name in response.headers}
    await request.state.unit_of_work.execute(
        _STORE, {"status": response.status_code, "headers": json.dumps(headers), "body": body, "row_id": row_id}
    )


def key_of(request: Request) -> str | None:
    """A quoted string (RFC 8941 sf-string) or a bare token such as a UUID; None without one. Raises `Malformed`."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise Malformed(
            "one Idempotency-Key of 1 to 128 characters, best a quoted UUID", code="invalid_idempotency_key"
        )
    return given[0].strip('"')


def _template(request: Request) -> str:
    return str(getattr(request.scope.get("route"), "path", request.url.path))
