"""The steps of a way through a provider that somebody has to come back for, each good once and for minutes.

The browser or the app holds 256 random bits; the row holds their hash and, sealed under the platform's key, what was
fixed at that step. A ticket of one kind is none of another: the kind is part of the hash.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar, get_args
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from api.identity import Identity
from core.crypto import SYSTEM
from domain.oauth import Provider
from integrations.calendar.oauth import Grant
from integrations.calendar.protocol import ProviderName
from integrations.identity.protocol import ExternalIdentity
from models.mfa import ChallengeKind
from models.queries import auth_challenges

_T = TypeVar("_T")
_COLUMN: Final = "auth_challenges.payload_ct"


@dataclass(frozen=True, slots=True)
class Linking:
    """Who wants an identity beside those they have, in which session they proved who they are."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Start:
    """An app sends its browser to a provider: anybody's to sign in, or that of somebody signed in, to link."""

    provider: Provider
    next: str
    challenge: str
    timezone: str = "UTC"
    """Where a new account is at home."""
    linking: Linking | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A browser is at the provider; `verifier` is ours towards it, the challenge in `start` the app's towards us
    (RFC 7636)."""

    start: Start
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignInCode:
    """Somebody came back who has an account. `epoch` as it was then, and the identity that opened it: signing out
    everywhere and unlinking meanwhile count."""

    challenge: str
    user_id: UUID
    epoch: int
    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class LinkCode:
    """Somebody came back who wants to link."""

    challenge: str
    provider: Provider
    linking: Linking
    external: ExternalIdentity


@dataclass(frozen=True, slots=True)
class CalendarStart:
    """Somebody signed in wants to connect a calendar, or to consent again to one that is connected."""

    provider: ProviderName
    next: str
    by: Linking
    household_id: UUID | None = None
    policy: Mapping[str, bool] = field(default_factory=dict)
    connection_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CalendarState:
    """Their browser is at the provider; `verifier` is ours towards it."""

    start: CalendarStart
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CalendarCode:
    """Somebody came back who consented. What that gives is kept once whoever began it says so."""

    start: CalendarStart
    grant: Grant


_Content = Start | State | SignInCode | LinkCode | CalendarStart | CalendarState | CalendarCode
_ADAPTERS: Final[Mapping[type[object], TypeAdapter[Any]]] = {kind: TypeAdapter(kind) for kind in get_args(_Content)}


async def issue(session: AsyncSession, identity: Identity, content: _Content, *, browser: str | None = None) -> str:
    """A new ticket, for one browser if it is given. Lives as the settings say."""
    raw, settings = secrets.token_urlsafe(32), identity.settings.oauth
    kind = type(content)
    id_hash = _hash(kind, raw)
    payload = _ADAPTERS[kind].dump_json(content).decode()
    is_code = isinstance(content, SignInCode | LinkCode | CalendarCode)
    await auth_challenges.begin(
        session,
        ChallengeKind.OAUTH,
        id_hash,
        timedelta(seconds=settings.code_seconds if is_code else settings.state_seconds),
        user_id=content.user_id if isinstance(content, SignInCode) else None,
        browser_hash=_browser_hash(browser),
        payload_ct=await identity.cipher.seal(SYSTEM, _COLUMN, _row_id(id_hash), payload),
    )
    return raw


async def take(
    session: AsyncSession, identity: Identity, kind: type[_T], raw: str, *, browser: str | None = None
) -> _T | None:
    """What was fixed, the first time it is asked for in time and in the browser it began in; else None."""
    id_hash = _hash(kind, raw)
    sealed = await auth_challenges.take(session, ChallengeKind.OAUTH, id_hash, _browser_hash(browser))
    if sealed is None:
        return None
    content: _T = _ADAPTERS[kind].validate_json(await identity.cipher.open(_COLUMN, _row_id(id_hash), sealed))
    return content


def _browser_hash(browser: str | None) -> bytes | None:
    """What is kept of a browser's cookie."""
    return None if browser is None else hashlib.sha256(f"browser|{browser}".encode()).digest()


def _hash(kind: type[object], raw: str) -> bytes:
    return hashlib.sha256(f"{kind.__name__}|{raw}".encode()).digest()


def _row_id(id_hash: bytes) -> UUID:
    """What binds the payload to its row."""
    return UUID(bytes=id_hash[:16])
