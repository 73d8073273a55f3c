"""`python -m api` as a supervisor and a balancer see it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import text

from core.db import Database
from core.settings import Settings
from infra.local import ports
from tests.api.signing_in import Api, Person
from tests.relay.kit import environment, until

Process = asyncio.subprocess.Process
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
OURS = range(22_200 + 25 * (WORKER % 4), 22_225 + 25 * (WORKER % 4))
"""Ports of this process: a free one is another worker's a moment later."""


@asynccontextmanager
async def api_server(
    settings: Settings, port: int | None = None, **env: str
) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """The process, answering, and somebody who talks to it."""
    port = port or next(port for port in OURS if ports.is_free(port))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api",
        env=environment(settings, PETFOLIO_API__PORT=str(port), **env),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await until(lambda: answers(client, "/healthz", 200), seconds=90, alive=process)
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def answers(client: httpx.AsyncClient, path: str, status: int) -> bool:
    try:
        return (await client.get(path)).status_code == status
    except httpx.TransportError:
        return False


async def test_who_is_being_served_is_served_to_the_end_and_nobody_new_comes(
    settings: Settings, api: Api, db: Database
) -> None:
    person: Person = await api.person()
    pet = (await person.request("POST", "/pets", {"name": "Milo"})).json()["id"]
    headers = {"Authorization": f"Bearer {person.access_token}"}
    async with api_server(settings, PETFOLIO_API__DRAIN_DELAY="1") as (process, client):
        await until(lambda: answers(client, "/readyz", 200), seconds=30)
        async with db.sessions.begin() as session:
            await session.execute(text("SELECT 1 FROM pets WHERE id = :id FOR UPDATE"), {"id": pet})
            waiting = asyncio.create_task(client.patch(f"/api/v1/pets/{pet}", json={"name": "Miro"}, headers=headers))
            await until(lambda: someone_waits(db))
            process.send_signal(signal.SIGTERM)
            await until(lambda: answers(client, "/readyz", 503))  # told to stop, and still accepting
        assert (await waiting).json()["name"] == "Miro"
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    lines = [json.loads(line) for line in out.splitlines()]
    served = [line for line in lines if line.get("event") == "request" and line["method"] == "PATCH"]
    assert [(line["route"], line["status"]) for line in served] == [("/api/v1/pets/{pet_id}", 200)]
    assert person.email not in out.decode()
    assert "Miro" not in out.decode()


async def test_it_starts_while_everything_else_is_away(settings: Settings) -> None:
    away = {
        "PETFOLIO_DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none",
        "PETFOLIO_REDIS_URL": "redis://127.0.0.1:1",
        "PETFOLIO_TEMPORAL_ADDRESS": "127.0.0.1:1",
    }
    async with api_server(settings, **away) as (process, client):
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (
            503,
            {"ready": False, "dependencies": {"postgres": "away", "redis": "degraded", "temporal": "degraded"}},
        )
        answer = await client.post("/api/v1/auth/login", json={"email": "ada@example.com", "password": "x" * 20})
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def someone_waits(db: Database) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await db.reads.fetchval(query))
