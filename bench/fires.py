"""Bench 2 and 3: many reminders due in the same second, and how soon a new reminder has its workflow.

Beside them, on the same Temporal server, entities that do nothing. A fire of the real one is: timer, claim under the
row lock in Postgres, the recorded in-app notice, the next plan. CPU is counted from a second before the due time until
all are done and the processes are idle again.
"""

import asyncio
import math
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import mean, quantiles

import asyncpg
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError

from bench import noop
from bench.platform import Platform
from bench.processes import cpu_seconds, python, start
from temporal import ids
from tests.person import soon
from tests.stack import until

_IN_FLIGHT = 40
REQUESTS = 10
"""At once over HTTP: within the write pool of one api process, so that nobody waits for a connection."""
LOGIN_EVERY = 2_000
"""A token lasts ten minutes."""
_SETTLE, _IDLE = 8.0, 0.7
_ACTIONS = {
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_MARKER_RECORDED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
}
"""Events that Temporal counts (and its cloud bills) as an action."""


@dataclass(frozen=True, slots=True)
class Burst:
    """`lateness` in seconds after the due time; CPU in milliseconds per fire."""

    count: int
    per_second: float
    lateness_p50: float
    lateness_p95: float
    server_ms: float
    worker_ms: float
    postgres_ms: float
    actions: float
    history_bytes: float

    @property
    def cpu_ms(self) -> float:
        """Server and worker, as the goal counts."""
        return self.server_ms + self.worker_ms


async def reminders(on: Platform, count: int) -> Burst:
    """`count` daily reminders of one household, made over HTTP."""
    due, made = soon(_lead(count)), []
    await on.owner.login()

    async def create(number: int) -> None:
        if number % LOGIN_EVERY == LOGIN_EVERY - 1:
            await on.owner.login()
        answer = await on.owner.remind(due=due, title=f"Tablet {number}", notification_methods=["in_app"])
        answer.raise_for_status()
        made.append((answer.json()["household_id"], answer.json()["id"]))

    await at_once(create, count, REQUESTS)
    database = await asyncpg.connect(on.env["PETFOLIO_DATABASE_URL"], ssl=False)
    wanted = [uuid.UUID(reminder_id) for _, reminder_id in made]

    async def effects() -> list[float]:
        return await fired_at(database, wanted)

    server, worker, postgres = await on.pids("temporal", "worker-core", "postgres")
    try:
        at, cpu = await _watch(effects, due, count, {"server": [server], "worker": [worker], "postgres": [postgres]})
    finally:
        await database.close()
    client = await noop.connect(on.settings)
    sample = [ids.reminder(uuid.UUID(household), uuid.UUID(reminder)) for household, reminder in made[:20]]
    return _burst(at, due, cpu, await _history(client, sample, due))


async def fired_at(database: "asyncpg.Connection[asyncpg.Record]", reminder_ids: list[uuid.UUID]) -> list[float]:
    """When the in-app notices of these reminders were recorded."""
    query = (
        "SELECT extract(epoch FROM d.at)::float8 FROM deliveries d JOIN occurrences o ON o.id = d.occurrence_id"
        " WHERE o.reminder_id = ANY($1::uuid[]) AND d.channel = 'in_app'"
    )
    return [at for (at,) in await database.fetch(query, reminder_ids)]


async def no_ops(on: Platform, count: int) -> Burst:
    """The same number of entities that do nothing, on a queue and in a worker of their own."""
    client = await noop.connect(on.settings)
    with noop_worker(on) as (worker, notes):
        due = soon(_lead(count))
        names = await start_no_ops(client, due, count)

        async def effects() -> list[float]:
            return noop.read(notes)

        (server,) = await on.pids("temporal")
        at, cpu = await _watch(effects, due, count, {"server": [server], "worker": [worker], "postgres": []})
        history = await _history(client, names[:20], due)
        await end_no_ops(client, names)
    return _burst(at, due, cpu, history)


@contextmanager
def noop_worker(on: Platform) -> Iterator[tuple[int, Path]]:
    """Its pid, and the file with a line for each effect. It polls already."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "effects")
        worker = start(python("bench.noop_worker", str(notes)), None, on.env)
        try:
            assert worker.stdout is not None
            worker.stdout.readline()
            yield worker.pid, notes
        finally:
            worker.terminate()
            worker.wait(30)


async def start_no_ops(client: Client, due: datetime, count: int) -> list[str]:
    """Start so many entities; their ids."""
    prefix = uuid.uuid4().hex

    async def create(number: int) -> None:
        argument, name = noop.Due(due, number), f"{prefix}-{number}"
        await client.start_workflow(noop.NoopEntity.run, argument, id=name, task_queue=noop.QUEUE)

    await at_once(create, count)
    return [f"{prefix}-{number}" for number in range(count)]


async def end_no_ops(client: Client, names: Sequence[str]) -> None:
    """Away with them."""
    await at_once(lambda number: client.get_workflow_handle(names[number]).terminate(), len(names))


async def starts(on: Platform, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds from sending POST /reminders to its 201, and to its workflow being started by the relay."""
    client = await noop.connect(on.settings)
    answered: list[float] = []
    started: list[float] = []
    for number in range(count):
        sent = time.time()
        answer = await on.owner.remind(due=soon(86_400), title=f"Later {number}")
        answered.append((time.time() - sent) * 1000)
        body = answer.json()
        workflow_id = ids.reminder(uuid.UUID(body["household_id"]), uuid.UUID(body["id"]))
        look = partial(_first_task_done, client, workflow_id)
        running = await until(look, within=30, what="the workflow of a new reminder")
        started.append((running - sent) * 1000)
    return answered, started


async def _first_task_done(client: Client, workflow_id: str) -> float | None:
    """When the workflow had taken in its plan; None before that."""
    with suppress(RPCError):  # not started yet
        async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return event.event_time.ToMicroseconds() / 1e6
    return None


def _lead(count: int) -> float:
    """Long enough to create them all on a busy machine, and to be quiet for a while before they are due."""
    return 45 + count / 20


async def at_once(work: Callable[[int], Awaitable[object]], count: int, slots: int = _IN_FLIGHT) -> None:
    """Do it for 0 to `count` - 1, so many at a time."""
    free = asyncio.Semaphore(slots)

    async def one(number: int) -> None:
        async with free:
            await work(number)

    await asyncio.gather(*(one(number) for number in range(count)))


async def _watch(
    effects: Callable[[], Awaitable[list[float]]], due: datetime, count: int, pids: dict[str, list[int]]
) -> tuple[list[float], dict[str, float]]:
    """The times of all effects, and the CPU seconds by role from just before the due time until everything is idle."""
    spare = due.timestamp() - time.time()
    if spare < _SETTLE:
        raise SystemExit(f"creating {count} took too long: {spare:.1f} s before they are due")
    await asyncio.sleep(spare - 1)
    before = {role: cpu_seconds(of) for role, of in pids.items()}

    async def all_done() -> list[float] | None:
        await asyncio.sleep(0.25)  # look seldom: looking costs CPU too
        at = await effects()
        return at if len(at) >= count else None

    at = await until(all_done, within=600, what=f"{count} effects")
    everybody = [pid for of in pids.values() for pid in of]
    used = cpu_seconds(everybody)
    for _ in range(60):
        await asyncio.sleep(_IDLE)
        if (now := cpu_seconds(everybody)) - used < 0.1 * _IDLE:
            break
        used = now
    return at, {role: cpu_seconds(of) - before[role] for role, of in pids.items()}


async def _history(client: Client, workflow_ids: Iterable[str], due: datetime) -> tuple[float, float]:
    """Actions and bytes of history from the fire on, until the next timer is set; means over some workflows."""
    actions, sizes = [], []
    for workflow_id in workflow_ids:
        events = [event async for event in client.get_workflow_handle(workflow_id).fetch_history_events()]
        after = [event for event in events if event.event_time.ToDatetime(UTC) >= due - timedelta(milliseconds=50)]
        actions.append(sum(event.event_type in _ACTIONS for event in after))
        sizes.append(sum(event.ByteSize() for event in after))
    return mean(actions), mean(sizes)


def _burst(at: list[float], due: datetime, cpu: dict[str, float], history: tuple[float, float]) -> Burst:
    lateness = sorted(each - due.timestamp() for each in at)
    count, took = len(lateness), max(lateness[-1], 0.001)
    ms = {role: seconds / count * 1000 for role, seconds in cpu.items()}
    p50, p95 = percentiles(lateness)
    return Burst(count, count / took, p50, p95, ms["server"], ms["worker"], ms["postgres"], *history)


def percentiles(values: list[float]) -> tuple[float, float]:
    """(p50, p95)"""
    cuts = quantiles(values, n=20)
    return cuts[9], cuts[math.ceil(0.95 * 20) - 1]
