"""What tests of the relay share: kinds of their own, bells to ring, and ways to see what Temporal got.

No worker runs: what the relay did is read from histories, which the server writes by itself.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import WorkflowExecutionSignaledEventAttributes
from temporalio.client import Client

from core.db import Database
from core.settings import Settings
from temporal import outbox
from workers.outbox_table import OutboxRow
from workers.relay import Relay
from workers.sender import OutboxKind


@dataclass(frozen=True, slots=True)
class Start:
    """First state of the workflows of these tests."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Bell:
    """The signal."""

    seq: int


def _refused(row: OutboxRow) -> object:
    raise ValueError(f"row {row.seq} cannot be read")


def _nobody(_: OutboxRow) -> str:
    """A queue that no worker polls."""
    return "nobody"


KINDS = {
    "bell": OutboxKind("Bells", lambda _: Start(), "rung", lambda row: Bell(row.seq), _nobody, summary="Rung"),
    "once": OutboxKind("Once", lambda _: Start(), queue=_nobody, summary="Once"),
    "search": OutboxKind("Once", lambda _: Start(), queue=_nobody, is_repeatable=True, summary="Repeated"),
    "poison": OutboxKind("Bells", _refused, queue=_nobody, summary="Refused"),
}


def new_workflow_id() -> str:
    """An id under the platform's own key."""
    return f"system/test-{uuid4()}"


async def ring(
    db: Database, workflow_id: str, kind: str = "bell", *, aggregate: str = "", user_id: UUID | None = None
) -> None:
    """Commit one row."""
    push = outbox.ring if kind == "bell" else outbox.enqueue
    async with db.sessions.begin() as session:
        await push(
            session, aggregate=aggregate or workflow_id, kind=kind, workflow_id=workflow_id, args={}, user_id=user_id
        )


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    """A relay at work; stopped the way its process stops it."""
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        relay.stop()
        await asyncio.wait_for(task, 15)


async def until(
    condition: Callable[[], Awaitable[bool]], seconds: float = 60, *, alive: asyncio.subprocess.Process | None = None
) -> None:
    """Wait for something to become true, as long as the process that is to bring it about is `alive`."""
    limit = time.monotonic() + seconds
    while not await condition():
        assert alive is None or alive.returncode is None, f"the process ended with {alive.returncode}"
        assert time.monotonic() < limit, "it did not happen in time"
        await asyncio.sleep(0.02)


async def unsent(db: Database) -> int:
    """Rows without `done_at`."""
    return int(await db.reads.fetchval("SELECT count(*) FROM outbox WHERE done_at IS NULL"))


def all_sent(db: Database) -> Callable[[], Awaitable[bool]]:
    """For `until`."""

    async def sent() -> bool:
        return await unsent(db) == 0

    return sent


async def signals(client: Client, workflow_id: str) -> int:
    """How many signals the latest run of a workflow got."""
    return len(await _signals(client, workflow_id))


async def bells(client: Client, workflow_id: str) -> set[int]:
    """The different bells among them."""
    sealed = [event.input.payloads for event in await _signals(client, workflow_id)]
    decoded = [await client.data_converter.decode(payloads, [Bell]) for payloads in sealed]
    return {bell.seq for (bell,) in decoded}


async def _signals(client: Client, workflow_id: str) -> list[WorkflowExecutionSignaledEventAttributes]:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    kind = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    found = [event for event in history.events if event.event_type == kind]
    return [event.workflow_execution_signaled_event_attributes for event in found]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """The variables that give a process of ours these settings."""
    own = {
        "PETFOLIO_DATABASE_URL": settings.database_url.get_secret_value(),
        "PETFOLIO_MIGRATION_URL": settings.migration_url.get_secret_value() if settings.migration_url else "",
        "PETFOLIO_REDIS_URL": settings.redis_url.get_secret_value(),
        "PETFOLIO_TEMPORAL_ADDRESS": settings.temporal_address,
        "PETFOLIO_KEYS__PROVIDER": settings.keys.provider,
        "PETFOLIO_KEYS__DIRECTORY": str(settings.keys.directory),
    }
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PETFOLIO_")}
    return {**plain, **own, **more}
