"""The relay beside what it stands on: `python -m bench.relay` prints rows/s, their ratio to raw starts, and latency.

Both send the same signal-with-start, 40 at once, to the same server, turn by turn; the medians are compared.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from core.db import WORKER_POOL, Database, connect
from core.settings import KeySettings, Settings
from infra.local.launchers import postgres
from infra.local.launchers import temporal as temporal_launcher
from integrations.keys.factory import open_keys
from integrations.keys.secrets import ensure_system_key
from integrations.keys.store import KeyStore
from models.migrate import upgrade
from models.queries.keys import KeyTable
from temporal import ids, search_attributes
from temporal.client import connect as connect_temporal
from temporal.client import plugin
from tests.relay.kit import KINDS, Bell, Start, new_workflow_id, ring, unsent
from tests.services import open_servers
from workers.lifecycle import leave
from workers.relay import Relay

ROWS, ROUNDS, SINGLES, IN_FLIGHT = 400, 3, 100, 40


async def raw_starts(client: Client) -> float:
    """Starts per second without Postgres."""
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def start(workflow_id: str) -> None:
        async with gate:
            owner = SearchAttributePair(search_attributes.OWNER, ids.owner_attribute(workflow_id))
            await client.start_workflow(
                "Bells",
                Start(),
                id=workflow_id,
                task_queue="nobody",
                search_attributes=TypedSearchAttributes([owner]),
                start_signal="rung",
                start_signal_args=[Bell(1)],
            )

    return ROWS / await _seconds(asyncio.gather(*(start(new_workflow_id()) for _ in range(ROWS))))


async def relayed_rows(db: Database, relay: Relay) -> float:
    """Rows per second of a backlog."""
    for _ in range(ROWS):
        await ring(db, new_workflow_id())
    return ROWS / await _seconds(_drained(db, relay))


async def commit_to_accepted(db: Database, settings: Settings, client: Client) -> list[float]:
    """Seconds from the commit to `done_at`, one row at a time, in the database's own clock."""
    relay = Relay(settings, client, KINDS)
    relaying = asyncio.create_task(relay.run())
    await db.reads.execute("DELETE FROM outbox")
    for _ in range(SINGLES):
        await ring(db, new_workflow_id())
        while await unsent(db):
            await asyncio.sleep(0.002)
    relay.stop()
    await relaying
    rows = await db.reads.fetch("SELECT extract(epoch FROM done_at - created_at)::float8 AS seconds FROM outbox")
    return sorted(row["seconds"] for row in rows)


async def _drained(db: Database, relay: Relay) -> None:
    relaying = asyncio.create_task(relay.run())
    while await unsent(db):
        await asyncio.sleep(0.01)
    relay.stop()
    with suppress(asyncio.CancelledError):
        await relaying


async def _seconds(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def measure(settings: Settings) -> None:
    """A warm-up, then turn by turn."""
    async with connect(settings, WORKER_POOL) as db:
        keys = KeyStore(open_keys(settings)[0], KeyTable(db.reads))
        await ensure_system_key(keys)
        client = await connect_temporal(settings, plugin(keys), lazy=False, runtime=None)
        raw, relayed = [], []
        for turn in range(ROUNDS + 1):
            pair = await raw_starts(client), await relayed_rows(db, Relay(settings, client, KINDS))
            if turn:
                raw.append(pair[0])
                relayed.append(pair[1])
        lags = await commit_to_accepted(db, settings, client)
    starts, rows = statistics.median(raw), statistics.median(relayed)
    p50, p95 = lags[len(lags) // 2], lags[int(len(lags) * 0.95)]
    print(f"raw starts {starts:.0f}/s, relay {rows:.0f} rows/s: {rows / starts:.2f} x (goal 0.80)")
    print(f"commit to accepted: p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms")


def main() -> None:
    """With servers of its own."""
    with open_servers() as servers, tempfile.TemporaryDirectory() as keys:
        site = servers.start(postgres.SERVICE)
        servers.start(temporal_launcher.SERVICE)
        asyncio.run(upgrade(postgres.url(site, postgres.OWNER)))
        settings = Settings(
            database_url=SecretStr(postgres.url(site, postgres.APP)),
            redis_url=SecretStr("redis://127.0.0.1:1/0"),
            temporal_address=site.address("temporal"),
            keys=KeySettings(provider="file", directory=Path(keys)),
        )
        asyncio.run(measure(settings))
        sys.stdout.flush()
        servers.close()
    leave(0)


if __name__ == "__main__":
    main()
