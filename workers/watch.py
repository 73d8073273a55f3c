"""Looks at what should have happened and has not: the alarm that rings when everything is silent.

A worker that is stuck reports nothing by itself, so each worker asks Postgres, whatever the others do. Two indexed
queries every quarter of a minute.
"""

import asyncio
from contextlib import suppress
from typing import Final

from prometheus_client import Gauge

from core.db import AWAY, Database
from core.logging import describe, logger
from models.queries import overdue

log = logger(__name__)

PERIOD_SECONDS: Final = 15.0

UNCLAIMED: Final = Gauge(
    "petfolio_oldest_due_unclaimed_seconds", "How long ago the earliest occurrence fell due that nobody has looked at."
)
UNDELIVERED: Final = Gauge(
    "petfolio_oldest_undelivered_seconds", "How long the oldest message waits that may leave and has not."
)


class Watch:
    """Runs beside the relay."""

    def __init__(self, db: Database) -> None:
        self._db, self._stopping = db, asyncio.Event()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    async def run(self) -> None:
        """Look until `stop`. Postgres going away is waited out; the gauges keep what was seen last."""
        while not self._stopping.is_set():
            try:
                found = await overdue.oldest(self._db)
                UNCLAIMED.set(found.unclaimed)
                UNDELIVERED.set(found.undelivered)
            except AWAY as error:
                log.warning("watch_away", reason=describe(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PERIOD_SECONDS)
