"""What asking who may do what costs: as many statements for a household of a thousand pets as for one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import event, text

from core.crypto import Subject
from core.db import Database
from core.ids import new_id
from core.settings import Settings
from models.pet import Pet
from tests.api.access_examples import MAKERS
from tests.api.access_ground import Caller, Ground
from tests.api.signing_in import OPEN, Api
from tests.api.test_access_matrix import named

READS = (
    "/pets",
    "/pets/{pet}",
    "/pets/{pet}/records",
    "/health-records/records/{record}",
    "/reminders",
    "/reminders/{reminder}",
    "/occurrences/{occurrence}",
    "/households",
    "/households/{household}",
    "/households/{household}/members",
    "/workflows",
)
WRITES = (
    ("PATCH", "/pets/{pet}", {"breed": "Tabby"}),
    ("PATCH", "/health-records/records/{record}", {"title": "Paws"}),
    ("POST", "/occurrences/{occurrence}/complete", {}),
)


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@asynccontextmanager
async def counted(db: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """Every statement that this database is asked meanwhile, through either way in."""
    asked: list[str] = []

    def through_sqlalchemy(*arguments: Any) -> None:
        asked.append(arguments[2])

    def through_the_pool(original: Any) -> Any:
        async def call(query: str, *arguments: object) -> Any:
            asked.append(query)
            return await original(query, *arguments)

        return call

    event.listen(db.engine.sync_engine, "before_cursor_execute", through_sqlalchemy)
    with monkeypatch.context() as patched:
        for name in ("fetch", "fetchrow", "fetchval"):
            patched.setattr(db.reads, name, through_the_pool(getattr(db.reads, name)))
        yield asked
    event.remove(db.engine.sync_engine, "before_cursor_execute", through_sqlalchemy)


async def cost(app: FastAPI, ground: Ground, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Statements of each request, once everything that is remembered between requests is."""
    token, found = await ground.token(caller), {}
    requests = [("GET", path, None) for path in READS] + list(WRITES)
    for method, path, body in requests:
        wanted = path.format_map({name: await ground.make(name) for name in named(path)})
        if method == "GET":
            await ground.send(method, wanted, body, token)
        async with counted(app.state.services.db, monkeypatch) as asked:
            answer = await ground.send(method, wanted, body, token)
        assert answer.status_code in (200, 403), answer.text
        found[f"{method} {path}"] = len([each for each in asked if "sessions" not in each])
    return found


async def crowd(ground: Ground, pets: int) -> None:
    """So many more pets in the household; sitters are trusted with all of them."""
    cipher, subject, found = ground.api.identity.cipher, Subject.household(ground.household_id), []
    for _ in range(pets):
        pet_id = new_id()
        name = await cipher.seal(subject, "pets.name_ct", pet_id, "Milo")
        found.append(Pet(id=pet_id, household_id=ground.household_id, name_ct=name))
    trust = """UPDATE grants g SET pet_ids = ARRAY(SELECT p.id FROM pets p WHERE p.household_id = g.household_id)
                WHERE g.household_id = :id"""
    async with ground.api.identity.db.sessions.begin() as session:
        session.add_all(found)
        await session.flush()
        await session.execute(text(trust), {"id": ground.household_id})


@pytest.mark.parametrize("caller", [Caller.OWNER, Caller.CARETAKER, Caller.SITTER_ACTS, Caller.ADMIN])
async def test_a_thousand_pets_cost_as_many_statements_as_one(
    app: FastAPI, api: Api, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = await Ground.prepare(api, MAKERS), await Ground.prepare(api, MAKERS)
    for ground in (few, many):
        await ground.token(caller)
    await crowd(many, 999)
    before = await cost(app, few, caller, monkeypatch)
    assert await cost(app, many, caller, monkeypatch) == before
    # An operator's look is written down first: who is told, and the entry.
    most = 4 if caller == "admin" else 2
    assert max(before[f"GET {path}"] for path in READS) <= most, "what is asked for, and at most its parent"
