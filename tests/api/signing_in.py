"""What tests of identity share: the api over ASGI, the mailed tokens, and a person who can sign in."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr
from sqlalchemy import select
from sqlmodel import col

from api.app import create_app
from api.identity import Identity
from core.settings import RateLimit, RateLimits, Settings
from models.audit import AuditEntry
from models.notification import Delivery
from models.queries import mails, sessions, users
from models.session import MailTokenKind
from models.user import User
from tests.relay.kit import until

PASSWORD = "correct horse battery staple"


PLENTY = RateLimit(quota=100_000, window=1, burst=100_000)
OPEN = RateLimits(
    default=PLENTY,
    anonymous=PLENTY,
    login=PLENTY,
    login_hourly=PLENTY,
    login_account=PLENTY,
    registration=PLENTY,
    mails=PLENTY,
    reset_mails=PLENTY,
    reset_network=PLENTY,
    credentials=PLENTY,
    payments=PLENTY,
    invitations=PLENTY,
    sightings=PLENTY,
    tag_sightings=PLENTY,
    pushes=PLENTY,
)
"""Limits out of the way of tests that are not about them."""


@dataclass
class Api:
    """One api process: `http` talks to it from `address`, `identity` is its inside."""

    http: httpx.AsyncClient
    identity: Identity
    address: str = "127.0.0.1"

    async def post(self, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
        return await self.http.post(f"/api/v1{path}", json=body, headers=bearer(token))

    async def get(self, path: str, token: str | None = None) -> httpx.Response:
        return await self.http.get(f"/api/v1{path}", headers=bearer(token))

    async def delete(self, path: str, token: str | None = None, body: Any = None) -> httpx.Response:
        return await self.http.request("DELETE", f"/api/v1{path}", json=body, headers=bearer(token))

    async def register(self, email: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        return await self.post("/auth/register", {"email": email, "password": password, **more})

    async def login(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return await self.post("/auth/login", {"email": email, "password": password})

    async def person(self, **more: Any) -> "Person":
        """Registered, verified, signed in."""
        email = f"{secrets.token_hex(6)}@example.test"
        assert (await self.register(email, **more)).status_code == 202
        token = await self.mailed_token(email, MailTokenKind.VERIFY)
        assert (await self.post("/auth/verify-email", {"token": token})).status_code == 204
        answer = await self.login(email)
        assert answer.status_code == 200, answer.text
        return Person(self, email, answer.json()["access_token"], answer.json()["refresh_token"])

    async def user(self, email: str) -> User | None:
        async with self.identity.db.sessions() as session:
            bidx = self.identity.blind_index(email.casefold())
            return (await session.scalars(select(User).where(col(User.email_bidx) == bidx))).one_or_none()

    async def mails(self, email: str) -> list[str]:
        """The templates whose sending was committed for this address, oldest first."""
        user = await self.user(email)
        if user is None:
            return []
        async with self.identity.db.sessions() as session:
            rows = select(Delivery.template).where(col(Delivery.user_id) == user.id).order_by(col(Delivery.id))
            return list((await session.scalars(rows)).all())

    async def mailed_token(self, email: str, kind: MailTokenKind, *, minutes: int = 60) -> str:
        """The token that the mail to this address would carry."""
        user = await self.user(email)
        assert user is not None
        async with self.identity.db.sessions.begin() as session:
            return await mails.mint_token(session, user, kind, timedelta(minutes=minutes))


@dataclass
class Person:
    """Somebody with a live session."""

    api: Api
    email: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @property
    def user_id(self) -> UUID:
        return self.api.identity.tokens.verify(self.access_token).user_id

    async def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """One request below /api/v1, signed in."""
        return await self.api.http.request(
            method, f"/api/v1{path}", json=body, headers=bearer(self.access_token) | (headers or {})
        )

    async def refresh(self, token: str | None = None) -> httpx.Response:
        return await self.api.post("/auth/refresh-token", {"refresh_token": token or self.refresh_token})

    async def is_let_in(self, token: str | None = None) -> bool:
        answer = await self.api.get("/auth/sessions", token or self.access_token)
        assert answer.status_code in (200, 401), answer.text
        return answer.status_code == 200


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@asynccontextmanager
async def api_process(settings: Settings, *, redis_url: str | None = None) -> AsyncIterator[Api]:
    """An api of its own on the module's database; another `redis_url` puts something between it and Redis.

    Its clients come from an address of their own, so that address limits of one process do not meet another's.
    """
    if redis_url is not None:
        settings = settings.model_copy(update={"redis_url": SecretStr(redis_url)})
    app = create_app(settings)
    address = f"10.{secrets.randbelow(250)}.{secrets.randbelow(250)}.1"
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
    ):
        yield Api(http, app.state.services.identity, address)


def said(answer: httpx.Response) -> tuple[int, object]:
    """An answer without the id of its request: equal for two requests nobody may tell apart."""
    body = answer.json() if answer.content else None
    return answer.status_code, {k: v for k, v in body.items() if k != "instance"} if isinstance(body, dict) else body


def version_in(answer: httpx.Response) -> str:
    """Of which version an answer's entity tag speaks."""
    return answer.headers["etag"].strip('"').partition("-")[0]


async def audit_of(api: Api, email: str) -> list[tuple[str, str]]:
    """(action, outcome) of every entry about this account, oldest first."""
    user = await api.user(email)
    assert user is not None
    async with api.identity.db.sessions() as session:
        query = select(AuditEntry).where(col(AuditEntry.subject) == f"user:{user.id}").order_by(col(AuditEntry.id))
        return [(entry.action, entry.outcome) for entry in (await session.scalars(query)).all()]


async def ended_meanwhile(
    api: Api, person: Person, request: Coroutine[Any, Any, httpx.Response], why: str = "password_reset"
) -> httpx.Response:
    """What a request gets that was let in, and then waited for the account while its owner ended all sessions."""

    async with api.identity.db.sessions.begin() as session:
        await users.lock(session, person.user_id)
        waiting = asyncio.create_task(request)
        await until_waiting(api, 1)
        await sessions.revoke_all(session, person.user_id, why)
    return await waiting


async def until_waiting(api: Api, count: int) -> None:
    """So many transactions wait for a lock of another."""

    async def waits() -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return int(await api.identity.db.reads.fetchval(query)) >= count

    await until(waits, seconds=10)
