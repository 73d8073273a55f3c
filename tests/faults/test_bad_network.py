"""Must hold: a worker that is cut off in the middle of its work repeats none of it (F15); slow and breaking connections
cost time and some answers, and no reminder (F16)."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from infra.local.toxic import Toxic, toxic
from temporal.policies import PROVIDER_CALL
from tests.faults.ledger import Ledger
from tests.person import Person, soon
from tests.services import PostgresServer
from tests.stack import Inbox, Stack, joined, running_stack, until

pytestmark = pytest.mark.timeout(180)
TEMPORAL = "PETFOLIO_TEMPORAL_ADDRESS"
PLACE = re.compile(r"127\.0\.0\.1:(\d+)")
GIVEN_UP_AFTER = PROVIDER_CALL["start_to_close_timeout"].total_seconds()
"""Seconds after which Temporal hands the work of a silent worker to another one."""


@dataclass(frozen=True, slots=True)
class Wired:
    """A stack that reaches Postgres, Redis and Temporal through wires, by the setting that names each; `direct` has
    the same settings past them."""

    stack: Stack
    wires: Mapping[str, Toxic]
    direct: Mapping[str, str]


@pytest.fixture(scope="module")
async def wired(postgres_server: PostgresServer, redis_url: str, temporal_address: str) -> AsyncIterator[Wired]:
    database = postgres_server.create_database()
    direct = {
        "PETFOLIO_DATABASE_URL": postgres_server.url(database),
        "PETFOLIO_REDIS_URL": redis_url,
        TEMPORAL: temporal_address,
    }
    async with AsyncExitStack() as open_wires:
        wires = {name: await open_wires.enter_async_context(toxic(place_of(url))) for name, url in direct.items()}
        through = {name: PLACE.sub(f"127.0.0.1:{wire.port}", direct[name]) for name, wire in wires.items()}
        owner = {"PETFOLIO_MIGRATION_URL": postgres_server.owner_url(database)}
        async with running_stack("wired", **through, **owner) as stack:
            yield Wired(stack, wires, direct)


def place_of(url: str) -> tuple[str, int]:
    found = PLACE.search(url)
    assert found is not None
    return "127.0.0.1", int(found[1])


@pytest.fixture(scope="module")
async def client(wired: Wired) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=(await wired.stack.status())["api_url"], timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
async def inbox(wired: Wired) -> AsyncIterator[Inbox]:
    """Of a mail provider that honours keys."""
    async with httpx.AsyncClient(base_url=(await wired.stack.status())["inbox_url"], timeout=20) as client:
        inbox = Inbox(client)
        await inbox.faults(honour_keys=True)
        yield inbox


async def test_a_third_of_a_second_and_resets_on_every_wire_bound_the_errors_and_lose_no_reminder(
    wired: Wired, person: Person, inbox: Inbox, ledger: Ledger, tmp_path: Path
) -> None:
    due, far = soon(6), soon(86_400)
    for n in range(10):
        await ledger.remind(person, f"slow-{n}", due)
    meanwhile, keys = Ledger(tmp_path / "meanwhile.db"), iter(range(1_000))

    async def keep_asking() -> None:
        while datetime.now(UTC) < due + timedelta(seconds=8):
            title = f"meanwhile-{next(keys):03}"
            await meanwhile.remind(person, title, far, headers={"Idempotency-Key": title})

    async with bad_network(wired), asyncio.TaskGroup() as load:
        for _ in range(4):
            load.create_task(keep_asking())
    statuses = meanwhile.statuses()
    assert set(statuses) <= {201, 503}, "every request is answered within its deadline"
    assert statuses[201] >= statuses[503]
    for title in meanwhile.asked():
        again = await person.remind(due=far, title=title, headers={"Idempotency-Key": title})
        assert again.status_code == 201, again.text
    assert sorted(await person.titles()) == sorted(meanwhile.asked() + ledger.asked())
    verdict = await ledger.outcome(wired.stack, inbox, person, within=90)
    assert (verdict.accepted, verdict.lost, verdict.duplicates, verdict.ambiguous) == (10, [], [], 0)
    assert verdict.late.max <= 2 * GIVEN_UP_AFTER + 5  # tasks may be lost on their way to the worker, too


@asynccontextmanager
async def bad_network(wired: Wired) -> AsyncIterator[None]:
    """300 ms there and back, and now and then a broken connection."""
    for wire in wired.wires.values():
        wire.delay, wire.reset = 0.15, 0.005
    try:
        yield
    finally:
        for wire in wired.wires.values():
            wire.delay = wire.reset = 0.0


async def test_a_worker_cut_off_in_the_middle_of_its_messages_repeats_none_of_them(
    wired: Wired, person: Person, inbox: Inbox, ledger: Ledger
) -> None:
    """It stands still, is given up on, and its calls reach the provider after those of the one that took over."""
    due, wire = soon(5), wired.wires[TEMPORAL]
    for n in range(5):
        await ledger.remind(person, f"frozen-{n}", due)
    await inbox.faults(delay=GIVEN_UP_AFTER + 4, count=5, when="before")
    await until(inbox.holds_all, within=30, what="the provider holds every message")
    frozen = await wired.stack.kill("worker-core", signal.SIGSTOP)
    wire.cut()  # or Temporal would hand the work once more to the polls that it left open
    try:
        async with joined(wired.stack, ["workers", "core"], PETFOLIO_WORKER__HEALTH_PORT="{port}", **wired.direct):
            late = due + timedelta(seconds=GIVEN_UP_AFTER + 5)
            await until(lambda: datetime.now(UTC) > late, within=60, what="the calls of both have arrived")
            wire.mend()
            os.kill(frozen, signal.SIGCONT)
            verdict = await ledger.outcome(wired.stack, inbox, person, within=60)
    finally:
        wire.mend()
        os.kill(frozen, signal.SIGCONT)
    assert (verdict.accepted, verdict.lost, verdict.duplicates, verdict.ambiguous) == (5, [], [], 0)
    assert verdict.late.max <= GIVEN_UP_AFTER + 5
    assert await attempts(person) == [2] * 5


async def attempts(person: Person) -> list[int]:
    """How often the provider was asked for each message, as the platform explains it."""
    found = []
    for occurrence in (await person.call("GET", "/occurrences", params={"state": "due"})).json()["items"]:
        explained = (await person.call("GET", f"/occurrences/{occurrence['id']}/explain")).json()
        found += [delivery["attempts"] for delivery in explained["deliveries"]]
    return found
