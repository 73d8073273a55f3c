"""A database that is full, locked or gone is said to be away: 503 with a time to come back, and soon."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from sqlalchemy import text

from core.db import API_POOL, Database
from core.settings import Settings
from domain.billing.catalogue import Tier
from tests.api.plans_kit import entitle
from tests.api.signing_in import Api, Person, api_process

SOON = 8.0
"""Seconds: the limits are two, the machine may be busy."""


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings) as process:
        yield process


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    person = await api.person()
    await entitle(api.identity.db, person.user_id, Tier.FAMILY)
    return person


@pytest.fixture
async def pet(person: Person) -> str:
    return str((await person.request("POST", "/pets", {"name": "Milo"})).json()["id"])


def is_away(answer: httpx.Response, began: float) -> bool:
    assert time.monotonic() - began < SOON
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable"), answer.text
    return int(answer.headers["retry-after"]) >= 1


async def test_no_free_connection_for_a_read(api: Api, person: Person, pet: str) -> None:
    reads = api.identity.db.reads
    async with AsyncExitStack() as held:
        for _ in range(API_POOL.reads):
            await held.enter_async_context(reads.acquire())
        for path in (f"/pets/{pet}", "/pets", "/users/profile"):
            began = time.monotonic()
            assert is_away(await person.request("GET", path), began), path
    assert (await person.request("GET", f"/pets/{pet}")).status_code == 200


async def test_no_free_connection_for_a_write(api: Api, person: Person, pet: str) -> None:
    async with AsyncExitStack() as held:
        for _ in range(API_POOL.writes):
            session = await held.enter_async_context(api.identity.db.sessions())
            await session.execute(text("SELECT 1"))
        began = time.monotonic()
        assert is_away(await person.request("PATCH", f"/pets/{pet}", {"name": "Miro"}), began)
    assert (await person.request("PATCH", f"/pets/{pet}", {"name": "Miro"})).status_code == 200


async def test_a_row_that_somebody_else_holds(person: Person, pet: str, db: Database) -> None:
    async with db.sessions.begin() as session:
        await session.execute(text("SELECT 1 FROM pets WHERE id = :id FOR UPDATE"), {"id": pet})
        began = time.monotonic()
        assert is_away(await person.request("PATCH", f"/pets/{pet}", {"name": "Miro"}), began)
        assert (await person.request("GET", f"/pets/{pet}")).status_code == 200


async def test_a_database_that_is_not_there(settings: Settings, person: Person, pet: str) -> None:
    """The process starts and says so; tokens are still checked, refusals are still ours."""
    nowhere = type(settings.database_url)("postgresql://nobody:nothing@127.0.0.1:1/none")
    async with api_process(settings.model_copy(update={"database_url": nowhere})) as lost:
        assert (await lost.http.get("/healthz")).status_code == 200
        ready = await lost.http.get("/readyz")
        assert (ready.status_code, ready.json()["dependencies"]["postgres"]) == (503, "away")
        for method, path, body in (
            ("GET", f"/pets/{pet}", None),
            ("GET", "/reminders", None),
            ("POST", "/pets", {"name": "Milo"}),
            ("PATCH", f"/pets/{pet}", {"name": "Milo"}),
            ("DELETE", f"/pets/{pet}", None),
        ):
            began = time.monotonic()
            elsewhere = Person(lost, person.email, person.access_token, person.refresh_token)
            assert is_away(await elsewhere.request(method, path, body), began), (method, path)
        assert (await lost.get("/pets", "not a token")).status_code == 401
