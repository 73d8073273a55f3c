"""What signing in and refreshing answer, and how that is kept for a client that did not hear it (§4.1)."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.browser import set_cookie
from api.identity import Identity
from core.crypto import derive
from models.queries.sign_in import OpenedSession
from models.session import Session


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON body, and values of `Set-Cookie`: 200 with tokens, unless said otherwise."""

    body: bytes = field(repr=False)
    status: int = 200
    cookies: tuple[str, ...] = field(default=(), repr=False)


def access(identity: Identity, row: Session | OpenedSession) -> dict[str, object]:
    """A new access token of a live session, as every answer shows it."""
    token = identity.tokens.mint(row.user_id, row.id, row.auth_time, row.amr)
    return {"access_token": token, "token_type": "Bearer", "expires_in": identity.tokens.lifetime}


def tokens(identity: Identity, row: Session | OpenedSession, raw: str, now: datetime) -> Answer:
    """Access and refresh token, the latter where the session keeps it: in a browser's cookie, or in the body."""
    shown = access(identity, row)
    if row.in_cookie:
        rest = int((row.absolute_expires_at - now).total_seconds())
        return Answer(orjson.dumps(shown), cookies=(set_cookie(raw, rest),))
    return Answer(orjson.dumps(shown | {"refresh_token": raw}))


def seal(answer: Answer, raw: str, session_id: UUID) -> bytes:
    """The answer to the refresh token `raw`, readable with that token only.

    The key comes from the token itself: its hash lies in the same row, so a key made of that would protect nothing.
    """
    nonce = os.urandom(12)
    # Neither compact JSON nor a header has a line break.
    plain = b"\n".join((answer.body, *(cookie.encode() for cookie in answer.cookies)))
    return nonce + _cipher(raw, session_id).encrypt(nonce, plain, None)


def unseal(sealed: bytes, raw: str, session_id: UUID) -> Answer:
    """The inverse: the very bytes that were answered before."""
    body, *cookies = _cipher(raw, session_id).decrypt(sealed[:12], sealed[12:], None).split(b"\n")
    return Answer(body, cookies=tuple(cookie.decode() for cookie in cookies))


def _cipher(raw: str, session_id: UUID) -> AESGCM:
    return AESGCM(derive(raw.encode(), f"rt-replay|{session_id}"))
