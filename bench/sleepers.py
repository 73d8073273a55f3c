"""Bench 6: many reminders asleep. What each costs the server and the worker, and how soon a new worker fires the next.

Beside them, on the same server, entities that do nothing but wait.
"""

import asyncio
import os
import signal
import time
import uuid
from dataclasses import dataclass

import asyncpg

from bench import noop
from bench.fires import LOGIN_EVERY, REQUESTS, at_once, end_no_ops, fired_at, noop_worker, start_no_ops
from bench.platform import Platform
from bench.processes import cpu_seconds, memory_bytes
from tests.person import soon
from tests.stack import until

_DAYS_AHEAD = 30
_DUE_SECONDS, _WARNING_SECONDS = 12.0, 0.5
_IDLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sleepers:
    """Memory in kB each. `restarts`: how the worker ended, and seconds from then to the first fire of the next."""

    count: int
    per_second: float
    server_kb: float
    worker_kb: float
    worker_mb: float
    noop_count: int
    noop_server_kb: float
    noop_worker_kb: float
    restarts: list[tuple[str, float]]


async def run(on: Platform, count: int, noops: int) -> Sleepers:
    """`count` reminders over HTTP, due in a month, then the worker's end while one falls due."""
    server, worker = await on.pids("temporal", "worker-core")
    before, started = await quiet_memory(server, worker), time.perf_counter()
    await _create(on, count)
    per_second = count / (time.perf_counter() - started)
    asleep = await quiet_memory(server, worker)
    server_kb, worker_kb = each_kb(before, asleep, count)
    restarts = [await _restart(on, how) for how in (signal.SIGTERM, signal.SIGKILL)]
    floor = await _no_ops(on, server, noops)
    return Sleepers(count, per_second, server_kb, worker_kb, asleep[1] / 1e6, noops, *floor, restarts)


async def _no_ops(on: Platform, server: int, count: int) -> tuple[float, float]:
    """Memory in kB of a sleeping entity: the server's and its worker's."""
    client = await noop.connect(on.settings)
    with noop_worker(on) as (worker, _):
        before = await quiet_memory(server, worker)
        names = await start_no_ops(client, soon(_DAYS_AHEAD * 86_400), count)
        server_kb, worker_kb = each_kb(before, await quiet_memory(server, worker), count)
        await end_no_ops(client, names)
    return server_kb, worker_kb


def each_kb(before: list[int], after: list[int], count: int) -> tuple[float, float]:
    """kB that one of them cost each of two processes."""
    server, worker = ((now - then) / count / 1000 for then, now in zip(before, after, strict=True))
    return server, worker


async def _create(on: Platform, count: int) -> None:
    due = soon(_DAYS_AHEAD * 86_400)
    await on.owner.login()

    async def create(number: int) -> None:
        if number % LOGIN_EVERY == LOGIN_EVERY - 1:
            await on.owner.login()
        (await on.owner.remind(due=due, title=f"Sleeper {number}")).raise_for_status()

    await at_once(create, count, REQUESTS)
    database = await asyncpg.connect(on.env["PETFOLIO_DATABASE_URL"], ssl=False)
    try:

        async def all_started() -> bool:
            return not await database.fetchval("SELECT count(*) FROM outbox WHERE done_at IS NULL")

        await until(all_started, within=600, what="every reminder has its workflow")
    finally:
        await database.close()


async def quiet_memory(*pids: int) -> list[int]:
    """Once they have nothing left to do: what was accepted is a backlog for a while."""
    used = cpu_seconds(pids)

    async def quiet() -> bool:
        nonlocal used
        before = used
        await asyncio.sleep(_IDLE_SECONDS)
        used = cpu_seconds(pids)
        return used - before < 0.1 * _IDLE_SECONDS * len(pids)

    await until(quiet, within=900, what="everything is asleep")
    return [memory_bytes(pid) for pid in pids]


async def _restart(on: Platform, how: signal.Signals) -> tuple[str, float]:
    """The worker ends half a second before a reminder falls due, on which the next one has to act."""
    due = soon(_DUE_SECONDS)
    answer = await on.owner.remind(due=due, title="Awake", notification_methods=["in_app"])
    answer.raise_for_status()
    (old,) = await on.pids("worker-core")
    await asyncio.sleep(due.timestamp() - time.time() - _WARNING_SECONDS)
    os.kill(old, how)
    ended = time.time()
    at = await _first_fire(on, uuid.UUID(answer.json()["id"]))
    (new,) = await on.pids("worker-core")
    if new == old:
        raise SystemExit("the worker that was to end fired")
    return how.name, at - ended


async def _first_fire(on: Platform, reminder_id: uuid.UUID) -> float:
    database = await asyncpg.connect(on.env["PETFOLIO_DATABASE_URL"], ssl=False)
    try:

        async def fired() -> list[float]:
            return await fired_at(database, [reminder_id])

        (at,) = await until(fired, within=120, what="the first fire of the new worker")
    finally:
        await database.close()
    return float(at)
