"""Looks at what should have happened and has not: the alarm that rings when everything is silent.

A worker that is stuck reports nothing by itself, so each worker asks Postgres, whatever the others do, and Temporal
about the job that finds what both have lost. Three indexed queries and one look-up every quarter of a minute. When the
last look was is told too: no worker, or none that can look, is an alarm of its own.
"""

import asyncio
from contextlib import suppress
from typing import Final

from prometheus_client import Gauge

from core.db import AWAY, Database
from core.logging import describe, logger
from models.queries import overdue
from temporal.contracts import reconcile
from temporal.gateway import Gateway

log = logger(__name__)

PERIOD_SECONDS: Final = 15.0

UNCLAIMED: Final = Gauge(
    "petfolio_oldest_due_unclaimed_seconds", "How long ago the earliest occurrence fell due that nobody has looked at."
)
UNDELIVERED: Final = Gauge(
    "petfolio_oldest_undelivered_seconds", "How long the oldest message waits that may leave and has not."
)
MEDIA: Final = Gauge(
    "petfolio_oldest_media_seconds", "How long the upload, or deletion of a file, waits that waits the longest."
)
MEDIA_QUEUE: Final = Gauge(
    "petfolio_media_queue", "Contents that are not where they should be yet, by state.", ["state"]
)
LOOKED: Final = Gauge("petfolio_watch_last_look_timestamp_seconds", "When this worker last looked for both of them.")
RECONCILED: Final = Gauge(
    "petfolio_reconcile_last_success_timestamp_seconds", "When reminders and workflows were last compared to the end."
)


class Watch:
    """Runs beside the relay. `gateway` may be of a lazy client."""

    def __init__(self, db: Database, gateway: Gateway) -> None:
        self._db, self._gateway, self._stopping = db, gateway, asyncio.Event()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    async def run(self) -> None:
        """Look until `stop`. Postgres or Temporal going away is waited out; the gauges keep what was seen last."""
        while not self._stopping.is_set():
            try:
                found = await overdue.oldest(self._db)
                UNCLAIMED.set(found.unclaimed)
                UNDELIVERED.set(found.undelivered)
                MEDIA.set(found.media)
                for state, count in (await overdue.media_queue(self._db)).items():
                    MEDIA_QUEUE.labels(state).set(count)
                LOOKED.set_to_current_time()
            except AWAY as error:
                log.warning("watch_away", reason=describe(error))
            if reconciled := await self._gateway.last_completed(reconcile.WORKFLOW):
                RECONCILED.set(reconciled.timestamp())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PERIOD_SECONDS)
