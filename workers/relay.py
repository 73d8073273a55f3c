"""Hands the outbox to Temporal: claim, start or signal, mark done (temporal.md §4.6).

A plain loop in the `core` worker, any number of replicas; not a workflow, because it must survive the outage it
bridges. Sending twice is harmless (same workflow id; a bell not above the last one heard changes nothing), so every
crash is answered by sending again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from core.db import AWAY as DATABASE_AWAY
from core.db import connect_directly
from core.failpoint import failpoint
from core.logging import describe, logger
from core.settings import Settings
from core.telemetry import SECONDS
from integrations.keys.protocols import KeysUnavailable
from temporal import ids, queues, search_attributes
from temporal.client import AWAY as TEMPORAL_AWAY
from temporal.client import CALL_SECONDS
from temporal.codec import PayloadsErased
from temporal.outbox import CHANNEL
from workers.outbox_table import Failed, FailedRow, OutboxRow, OutboxTable

log = logger(__name__)

POLL_SECONDS: Final = 1.5
"""The sweeper: what no notification announced is found this late at most."""
_AWAY_SECONDS: Final = (1.0, 30.0)
_RECONNECT_SECONDS: Final = 1.0

# Answers about Temporal itself, not about the row: a namespace not made yet and a refused certificate are outages too.
_OUTAGE: Final = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.PERMISSION_DENIED,
    }
)

SENT = Counter("outbox_sent", "Rows handed to Temporal.", ["kind"])
FAILED = Counter("outbox_failed", "Attempts refused for reasons of the row itself.", ["kind"])
LAG = Histogram("outbox_lag_seconds", "From commit to accepted by Temporal.", buckets=(*SECONDS, 60, 300))
OLDEST = Gauge("outbox_oldest_unsent_seconds", "Age of the oldest row to be sent; alarm above 30.")
PARKED = Gauge("outbox_parked", "Rows given up after ten attempts; alarm above 0.")


@dataclass(frozen=True, slots=True)
class OutboxKind:
    """How rows of one kind reach Temporal.

    With a `signal`: signal-with-start of an entity, which may be started again after it ended. Without: started once
    per id for ever, and a second row of the same id is as good as sent.
    """

    workflow: str
    first_state: Callable[[OutboxRow], object]
    signal: str | None = None
    message: Callable[[OutboxRow], object] | None = None
    queue: str = queues.CORE


class Relay:
    """`client` is lazy: the relay starts and waits while Temporal is away."""

    def __init__(self, settings: Settings, client: Client, kinds: Mapping[str, OutboxKind]) -> None:
        self._settings, self._client, self._kinds = settings, client, kinds
        self._stopping, self._woken = asyncio.Event(), asyncio.Event()
        self._away_seconds = 0.0
        self._looked_at, self._oldest = 0.0, 0.0
        OLDEST.set_function(self._oldest_now)

    def stop(self) -> None:
        """Let `run` return once the rows in flight are settled, within the limit of one call."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Relay until `stop`. Postgres going away is waited out; what was being sent then is sent again."""
        while not self._stopping.is_set():
            try:
                connection = await connect_directly(self._settings)
                try:
                    await connection.add_listener(CHANNEL, lambda *_: self._woken.set())
                    await self._serve(OutboxTable(connection))
                finally:
                    connection.terminate()
            except DATABASE_AWAY as error:
                log.warning("outbox_away", reason=describe(error))
                await self._pause(_RECONNECT_SECONDS)

    async def _serve(self, table: OutboxTable) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            rows = await table.claim(self._settings.worker.relay_lease_seconds)
            if rows:
                await self._send_batch(table, rows)
            await self._look(table)
            if self._away_seconds:
                await self._pause(self._away_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            elif not rows:
                await self._idle()

    async def _send_batch(self, table: OutboxTable, rows: list[OutboxRow]) -> None:
        batch = _Batch(self._settings.worker.relay_in_flight)
        await asyncio.gather(*(batch.send(row, self._send) for row in rows))
        for kind, lag in await table.sent(batch.sent):
            SENT.labels(kind).inc()
            if lag is not None:
                LAG.observe(lag)
        self._note_outage(batch)
        # Where others got through, Temporal is not away: then even a time-out is the row's own trouble, and counts.
        failures = batch.failed + (batch.unanswered if batch.sent else [])
        for failed in await table.failed(failures):
            _report(failed)
        await table.free(batch.held + ([] if batch.sent else [failure.row for failure in batch.unanswered]))

    def _note_outage(self, batch: "_Batch") -> None:
        first, longest = _AWAY_SECONDS
        if batch.sent or not batch.unanswered:
            self._away_seconds = 0.0
            return
        self._away_seconds = min(2 * self._away_seconds, longest) or first
        log.warning("temporal_away", retry_in=self._away_seconds, reason=batch.unanswered[0].error)

    async def _send(self, row: OutboxRow) -> None:
        """Signal-with-start, or start. Raises what the SDK raises; what is there already or erased counts as sent."""
        kind = self._kinds[row.kind]
        message = [] if kind.message is None else [kind.message(row)]
        owner = SearchAttributePair(search_attributes.OWNER, ids.owner_attribute(row.workflow_id))
        with suppress(WorkflowAlreadyStartedError, PayloadsErased):
            async with asyncio.timeout(CALL_SECONDS):
                await self._client.start_workflow(
                    kind.workflow,
                    kind.first_state(row),
                    id=row.workflow_id,
                    task_queue=kind.queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
                    if kind.signal
                    else WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    search_attributes=TypedSearchAttributes([owner]),
                    start_signal=kind.signal,
                    start_signal_args=message,
                )
            failpoint("relay_after_start")

    async def _look(self, table: OutboxTable) -> None:
        if monotonic() - self._looked_at >= POLL_SECONDS:
            backlog = await table.look()
            self._looked_at, self._oldest = monotonic(), backlog.oldest
            PARKED.set(backlog.parked)

    def _oldest_now(self) -> float:
        """What was oldest at the last look grows older while nobody can look."""
        return self._oldest + (monotonic() - self._looked_at) if self._oldest else 0.0

    async def _idle(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


class _Batch:
    """What became of the rows of one claim."""

    def __init__(self, in_flight: int) -> None:
        self._gate = asyncio.Semaphore(in_flight)
        self.sent: list[OutboxRow] = []
        self.failed: list[Failed] = []
        self.unanswered: list[Failed] = []
        self.held: list[OutboxRow] = []

    async def send(self, row: OutboxRow, send: Callable[[OutboxRow], Awaitable[None]]) -> None:
        """Try it, unless another row met an outage meanwhile. Never raises: no row ends the batch of the others."""
        async with self._gate:
            if self.unanswered:
                self.held.append(row)
                return
            try:
                await send(row)
            except Exception as error:
                trouble = Failed(row, f"{type(error).__name__}: {describe(error)}")
                (self.unanswered if _is_outage(error) else self.failed).append(trouble)
            else:
                self.sent.append(row)


def _report(failed: FailedRow) -> None:
    FAILED.labels(failed.kind).inc()
    event, say = ("outbox_row_parked", log.error) if failed.parked else ("outbox_row_failed", log.warning)
    say(
        event,
        outbox_id=failed.id,
        kind=failed.kind,
        workflow_id=failed.workflow_id,
        attempts=failed.attempts,
        reason=failed.last_error,
    )


def _is_outage(error: Exception) -> bool:
    """Whether something everybody needs is away: Temporal, or the keeper of the keys that payloads are sealed with."""
    if isinstance(error, RPCError):
        return error.status in _OUTAGE
    return isinstance(error, (*TEMPORAL_AWAY, *DATABASE_AWAY, KeysUnavailable))
