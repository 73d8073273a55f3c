"""Looking after uploads. May run twice: what has ended has ended, and ringing once too often is harmless."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from temporalio import activity

from activities import media_metrics as metrics
from core.db import SessionFactory
from models.queries import media_sweep
from models.queries.clock import database_now
from temporal import outbox
from temporal.contracts.media_sweep import MediaSwept, SweepMedia

PATIENCE: Final = timedelta(minutes=15)
"""How long a content may wait for its workflow before that is rung anew; most take seconds."""

READABLE: Final = timedelta(days=30)
"""How long people can read why a file was not taken; then nothing of it is left."""


@dataclass(frozen=True, slots=True)
class MediaSweepActivities:
    """See the module."""

    sessions: SessionFactory

    @activity.defn
    async def sweep_media(self, request: SweepMedia) -> MediaSwept:
        """Page by page, each in a transaction of its own; heartbeats after each."""
        size = request.page_size
        return MediaSwept(await self._expire(size), await self._ring(size), await self._forget(size))

    async def _expire(self, page_size: int) -> int:
        total, count = 0, page_size
        while count == page_size:
            async with self.sessions.begin() as session:
                count, doomed = await media_sweep.expire(session, page_size)
                for each in doomed:
                    await outbox.ring_media(session, each.stored_under, each.asset_id)
            total += count
            activity.heartbeat(total)
        metrics.SETTLED.labels("expired").inc(total)
        return total

    async def _forget(self, page_size: int) -> int:
        total, count = 0, page_size
        while count == page_size:
            async with self.sessions.begin() as session:
                before = await database_now(session) - READABLE
                doomed = await media_sweep.forget_refused(session, before, page_size)
                for each in doomed:
                    await outbox.ring_media(session, each.stored_under, each.asset_id)
            count = len(doomed)
            total += count
            activity.heartbeat(total)
        return total

    async def _ring(self, page_size: int) -> int:
        after: UUID | None = None
        total, count = 0, page_size
        while count == page_size:
            async with self.sessions.begin() as session:
                before = await database_now(session) - PATIENCE
                page = await media_sweep.waiting(session, before, after, page_size)
                for each in page:
                    await outbox.ring_media(session, each.stored_under, each.asset_id)
            after, count = (page[-1].asset_id if page else None), len(page)
            total += count
            activity.heartbeat(total)
        return total
