"""Temporal gone, the relay gone: what was accepted is still sent."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from temporalio.client import Client

from core.db import Database
from core.settings import Settings
from integrations.keys.store import KeyStore
from temporal.client import connect, plugin
from temporal.gateway import Gateway, RunState
from tests.relay.kit import KINDS, all_sent, bells, environment, new_workflow_id, ring, running, unsent, until
from tests.services import TemporalServer
from workers.relay import Relay

ROWS = 200


@pytest.fixture
async def temporal(tmp_path: Path) -> AsyncIterator[TemporalServer]:
    """A server of the test's own, not started; it remembers what it was told before it was killed."""
    server = TemporalServer(tmp_path)
    yield server
    await server.stop()


@pytest.fixture
def own(settings: Settings, temporal: TemporalServer) -> Settings:
    return settings.model_copy(update={"temporal_address": temporal.address})


@pytest.fixture
async def client(own: Settings, keys: KeyStore) -> Client:
    return await connect(own, plugin(keys), lazy=True, runtime=None)


async def every_bell_arrived(db: Database, client: Client) -> bool:
    """Each workflow heard the one bell of its row, and no other; perhaps twice."""
    rows = await db.reads.fetch("SELECT workflow_id, seq FROM outbox")
    return all([await bells(client, row["workflow_id"]) == {row["seq"]} for row in rows])


async def test_what_was_committed_during_an_outage_is_sent_after_it(
    db: Database, own: Settings, client: Client, temporal: TemporalServer
) -> None:
    await temporal.start()
    async with running(Relay(own, client, KINDS)):
        await ring(db, new_workflow_id())
        await until(all_sent(db))
        await temporal.kill()
        for _ in range(ROWS):
            await ring(db, new_workflow_id())
        await until(oldest_unsent_is_seen)
        assert await unsent(db) == ROWS
        await temporal.start()
        await until(all_sent(db))
    assert await every_bell_arrived(db, client)
    assert await db.reads.fetchval("SELECT max(attempts) FROM outbox") <= 2  # an outage parks nothing


async def test_the_relay_starts_before_temporal(
    db: Database, own: Settings, client: Client, temporal: TemporalServer
) -> None:
    await ring(db, new_workflow_id())
    async with running(Relay(own, client, KINDS)):
        await until(oldest_unsent_is_seen)
        await temporal.start()
        await until(all_sent(db))


async def test_the_gateway_answers_within_its_limit_while_temporal_is_away_and_again_after_it(
    own: Settings, client: Client, temporal: TemporalServer
) -> None:
    gateway, loop = Gateway(client), asyncio.get_running_loop()
    assert (await gateway.describe("system/nothing"), await gateway.reachable()) == (None, False)
    await temporal.start()
    found = await gateway.describe("system/nothing")
    assert found is not None
    assert found.state is RunState.ABSENT
    await temporal.kill()
    started = loop.time()
    assert await gateway.describe("system/nothing") is None
    assert await gateway.last_completed("ReconcileWorkflow") is None
    assert loop.time() - started < 10  # 3 s each, and room for a busy machine


async def test_a_relay_killed_in_the_middle_of_a_batch_loses_nothing(
    db: Database, own: Settings, client: Client, temporal: TemporalServer
) -> None:
    await temporal.start()
    for _ in range(ROWS // 2):
        await ring(db, new_workflow_id())
    lease = {"PETFOLIO_WORKER__RELAY_LEASE_SECONDS": "3"}
    killed = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.relay.relay_process"),
        env=environment(own, PETFOLIO_FAILPOINT="relay_after_start:kill", **lease),
    )
    assert await asyncio.wait_for(killed.wait(), 60) == -signal.SIGKILL
    assert await db.reads.fetchval("SELECT count(*) FROM outbox WHERE claimed_until IS NOT NULL") >= 40
    assert await unsent(db) == ROWS // 2
    async with running(Relay(own, client, KINDS)):
        await until(all_sent(db))
    assert await every_bell_arrived(db, client)


async def oldest_unsent_is_seen() -> bool:
    lines = generate_latest().decode().splitlines()
    (oldest,) = [float(line.split()[1]) for line in lines if line.startswith("outbox_oldest_unsent_seconds ")]
    return oldest > 0
