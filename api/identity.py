"""What signing in and checking callers need, built once by the api's composition root."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Request

from api import device_cookies
from api.browser import wants_cookie
from api.device_cookies import DeviceCookies
from api.ended import EndedSessions
from api.passwords import Passwords
from api.rate_limit import RateLimiter
from api.signing_keys import SigningKeys
from api.tokens import Tokens
from core.crypto import FieldCipher
from core.db import Database
from core.redis import Redis
from core.settings import Settings
from domain.auth import network_of
from integrations.identity.breaches import Breaches
from integrations.keys.protocols import SecretStore
from integrations.keys.secrets import ApplicationSecrets
from integrations.keys.store import KeyStore


@dataclass(frozen=True, slots=True)
class Identity:
    """The parts, and the keys derived from the application's root secret, one per purpose."""

    settings: Settings
    db: Database
    redis: Redis
    keys: KeyStore
    cipher: FieldCipher
    tokens: Tokens
    signing_keys: SigningKeys
    ended: EndedSessions
    passwords: Passwords
    breaches: Breaches
    device_cookies: DeviceCookies
    limiter: RateLimiter
    _index_key: bytes = field(repr=False)
    _throttle_key: bytes = field(repr=False)
    _trace_key: bytes = field(repr=False)
    _recovery_key: bytes = field(repr=False)

    def blind_index(self, canonical: str) -> bytes:
        """What `users.email_bidx` holds: lookup without the address (§3)."""
        return _mac(self._index_key, canonical.encode())

    def throttle_key(self, email_bidx: bytes) -> bytes:
        """Whose failures are counted, the same whether or not the account exists."""
        return _mac(self._throttle_key, email_bidx)

    def recovery_mac(self, user_id: UUID, code: str) -> bytes:
        """What `mfa_recovery_codes.code_hmac` holds of a person's code."""
        return _mac(self._recovery_key, user_id.bytes + code.encode())

    def trace(self, address: str) -> bytes:
        """An IP address as the audit log keeps it: comparable, not readable."""
        return _mac(self._trace_key, address.encode())


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from. `network` is what address limits count; `opts_out` says that the browser sends
    Global Privacy Control (its only value is `Sec-GPC: 1`); `in_cookie`, that whoever signs in wants the refresh token
    in a cookie; `device` is the device cookie as it was sent."""

    address: str
    user_agent: str | None
    request_id: str | None
    opts_out: bool = False
    in_cookie: bool = False
    device: str | None = field(default=None, repr=False)

    @property
    def network(self) -> str:
        """The IPv4 address, or the IPv6 /64."""
        return network_of(self.address)


@asynccontextmanager
async def build_identity(
    settings: Settings,
    db: Database,
    redis: Redis,
    keys: KeyStore,
    secrets: ApplicationSecrets,
    store: SecretStore,
    breaches: Breaches,
) -> AsyncIterator[Identity]:
    """For the lifespan of the api. `secrets` were read from `store`, whose signing keys change meanwhile."""
    tokens = Tokens(settings.auth, secrets.signing)
    signing_keys, ended = SigningKeys(store, tokens), EndedSessions(db.reads)
    watches = [asyncio.create_task(part.watch()) for part in (signing_keys, ended)]
    passwords = Passwords(workers=settings.auth.hash_workers, queue=settings.auth.hash_queue)
    try:
        yield Identity(
            settings=settings,
            db=db,
            redis=redis,
            keys=keys,
            cipher=FieldCipher(keys),
            tokens=tokens,
            signing_keys=signing_keys,
            ended=ended,
            passwords=passwords,
            breaches=breaches,
            device_cookies=DeviceCookies(secrets.derive("device-cookie")),
            limiter=RateLimiter(redis, settings.rate_limits, processes=settings.api.processes),
            _index_key=secrets.derive("email-index"),
            _throttle_key=secrets.derive("login-throttle"),
            _trace_key=secrets.derive("audit-address"),
            _recovery_key=secrets.derive("recovery-codes"),
        )
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        passwords.close()


# Asynchronous although nothing is awaited: FastAPI runs plain functions in a thread, at 150 µs a call.
async def get_identity(request: Request) -> Identity:
    """The `identity` of `app.state.services`."""
    return cast("Identity", request.app.state.services.identity)


async def get_client(request: Request) -> Client:
    """Uvicorn has put the address in place of a trusted proxy's. Raises as `wants_cookie`."""
    agent = request.headers.get("user-agent")
    return Client(
        address=request.client.host if request.client else "unknown",
        user_agent=_printable(agent) if agent else None,
        request_id=getattr(request.state, "request_id", None),
        opts_out=request.headers.get("sec-gpc") == "1",
        in_cookie=wants_cookie(request, request.app.state.services.settings),
        device=request.cookies.get(device_cookies.NAME),
    )


IdentityDep = Annotated[Identity, Depends(get_identity)]
ClientDep = Annotated[Client, Depends(get_client)]


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)


def _printable(text: str) -> str:
    return "".join(character for character in text[:256] if character.isprintable())
