"""Hands the outbox to Temporal: claim, start or signal, mark done (temporal.md §4.6).

A plain loop in the `core` worker, any number of replicas; not a workflow, because it must survive the outage it
bridges. Sending twice is harmless (same workflow id; a bell not above the last one heard changes nothing), so every
crash is answered by sending again.

The loop alone speaks to Postgres; the sends run beside it and never wait for each other. What one row meets decides
about that row, unless nothing gets through at all: then Temporal is away, and everybody waits without blame.
"""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from temporalio.client import Client

from core.db import AWAY as DATABASE_AWAY
from core.db import connect_directly
from core.logging import describe, logger
from core.settings import Settings
from core.telemetry import SECONDS
from temporal.outbox import CHANNEL
from workers.outbox_table import Failed, FailedRow, OutboxRow, OutboxTable
from workers.sender import OutboxKind, Sender, is_outage

log = logger(__name__)

POLL_SECONDS: Final = 1.5
"""The sweeper: what no notification announced is found this late at most."""
_OUTAGE_SECONDS: Final = 1.0
"""Between two waves of calls while Temporal is away, however long it is: what people did meanwhile may be late by the
outage and 10 s (temporal.md §8), and a call by itself waits for 3 s."""
_RECONNECT_SECONDS: Final = 1.0

SENT = Counter("outbox_sent", "Rows handed to Temporal.", ["kind"])
FAILED = Counter("outbox_failed", "Attempts that failed for reasons of the row itself.", ["kind"])
LAG = Histogram("outbox_lag_seconds", "From commit to accepted by Temporal.", buckets=(*SECONDS, 60, 300))
OLDEST = Gauge("outbox_oldest_unsent_seconds", "Age of the oldest row to be sent; alarm above 30.")
PARKED = Gauge("outbox_parked", "Rows given up after ten attempts; alarm above 0.")


class Relay:
    """`client` is lazy: the relay starts and waits while Temporal is away."""

    def __init__(self, settings: Settings, client: Client, kinds: Mapping[str, OutboxKind]) -> None:
        self._settings = settings
        self._stopping, self._woken = asyncio.Event(), asyncio.Event()
        self._flight = _Flight(Sender(client, kinds), settings.worker.relay_in_flight, self._woken)
        self._looked_at, self._oldest = 0.0, 0.0
        OLDEST.set_function(self._oldest_now)

    def stop(self) -> None:
        """Let `run` return once the calls under way are settled, within the limit of one call."""
        self._stopping.set()
        self._flight.outage.close()
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
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _RECONNECT_SECONDS)

    async def _serve(self, table: OutboxTable) -> None:
        while not self._stopping.is_set() or self._flight.size:
            self._woken.clear()
            if room := self._flight.room():
                self._flight.launch(await table.claim(room, self._settings.worker.relay_lease_seconds))
            await self._settle(table)
            await self._look(table)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
        await self._settle(table)

    async def _settle(self, table: OutboxTable) -> None:
        landed = self._flight.landed()
        for kind, lag in await table.sent(landed.sent):
            SENT.labels(kind).inc()
            if lag is not None:
                LAG.observe(lag)
        for failed in await table.failed(landed.failed):
            _report(failed)
        await table.free(landed.held)

    async def _look(self, table: OutboxTable) -> None:
        if monotonic() - self._looked_at >= POLL_SECONDS:
            backlog = await table.look()
            self._looked_at, self._oldest = monotonic(), backlog.oldest
            PARKED.set(backlog.parked)

    def _oldest_now(self) -> float:
        """What was oldest at the last look grows older while nobody can look."""
        return self._oldest + (monotonic() - self._looked_at) if self._oldest else 0.0


class _Landed:
    """What became of rows since somebody asked last."""

    def __init__(self) -> None:
        self.sent: list[OutboxRow] = []
        self.failed: list[Failed] = []
        self.held: list[OutboxRow] = []


class _Flight:
    """The sends under way: `limit` at once, and as many claimed rows behind them, so that none waits for a claim."""

    def __init__(self, sender: Sender, limit: int, changed: asyncio.Event) -> None:
        self._sender, self._limit, self._changed = sender, limit, changed
        self._gate = asyncio.Semaphore(limit)
        self._sends: set[asyncio.Task[None]] = set()
        self._landed = _Landed()
        self.outage = _Outage()

    @property
    def size(self) -> int:
        """Rows claimed and not landed."""
        return len(self._sends)

    def room(self) -> int:
        """How many rows to claim now: none while half of the places are taken, or while Temporal is away."""
        return 2 * self._limit - self.size if self.size <= self._limit and not self.outage.waiting else 0

    def launch(self, rows: list[OutboxRow]) -> None:
        """Send them as places come free."""
        for row in rows:
            send = asyncio.create_task(self._send(row))
            self._sends.add(send)
            send.add_done_callback(self._done)

    def landed(self) -> _Landed:
        """Outcomes not taken yet."""
        landed, self._landed = self._landed, _Landed()
        return landed

    async def _send(self, row: OutboxRow) -> None:
        async with self._gate:
            started = monotonic()
            if self.outage.waiting:
                self._landed.held.append(row)
            else:
                try:
                    await self._sender.send(row)
                except Exception as error:
                    self._refused(row, error, started)
                else:
                    self.outage.over()
                    self._landed.sent.append(row)

    def _done(self, send: asyncio.Task[None]) -> None:
        self._sends.discard(send)
        self._changed.set()

    def _refused(self, row: OutboxRow, error: Exception, started: float) -> None:
        text = f"{type(error).__name__}: {describe(error)}"
        if not is_outage(error):
            self._landed.failed.append(Failed(row, text))
        elif self.outage.passed_since(started):
            # Others got through meanwhile: it waits longer and longer by itself, but is never given up for this.
            self._landed.failed.append(Failed(row, text, final=False))
        else:
            self.outage.note(text, started)
            self._landed.held.append(row)


class _Outage:
    """Whether Temporal is away. Then nobody asks again for a moment."""

    def __init__(self) -> None:
        self._until, self._noted_at, self._accepted_at = 0.0, 0.0, 0.0

    @property
    def waiting(self) -> bool:
        """Nobody asks now."""
        return monotonic() < self._until

    def close(self) -> None:
        """Nobody asks any more: the relay stops."""
        self._until = float("inf")

    def passed_since(self, moment: float) -> bool:
        """Whether something was accepted after it."""
        return self._accepted_at > moment

    def over(self) -> None:
        """Something was accepted."""
        self._accepted_at = monotonic()

    def note(self, reason: str, started: float) -> None:
        """A call that began at `started` was not answered. Calls of one wave are one refusal."""
        if started <= self._noted_at or self._until == float("inf"):
            return
        self._noted_at = monotonic()
        self._until = self._noted_at + _OUTAGE_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        log.warning("temporal_away", reason=reason)


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
