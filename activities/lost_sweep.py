"""Tidying up after lost pets. May run twice: what is gone is gone, and ringing once too often is harmless."""

from uuid import UUID

from temporalio import activity

from core.db import SessionFactory
from domain.lost import KEPT
from models.queries import lost
from temporal import outbox
from temporal.contracts.lost_sweep import LostSwept, SweepLost


class LostSweepActivities:
    """See the module."""

    def __init__(self, sessions: SessionFactory) -> None:
        self.sessions = sessions

    @activity.defn
    async def sweep_lost(self, request: SweepLost) -> LostSwept:
        """Page by page, each in a transaction of its own; heartbeats after each."""
        return LostSwept(await self._wipe(request.page_size), await self._ring(request.page_size))

    async def _wipe(self, page_size: int) -> int:
        total, count = 0, page_size
        while count == page_size:
            async with self.sessions.begin() as session:
                count = await lost.wipe_strays(session, KEPT, page_size)
            total += count
            activity.heartbeat(total)
        return total

    async def _ring(self, page_size: int) -> int:
        last: UUID | None = None
        total = 0
        while True:
            async with self.sessions.begin() as session:
                page = await lost.unfinished(session, last, page_size)
                for case_id, household_id in page:
                    await outbox.LOST_CASE.ring(session, household_id, case_id)
            if not page:
                return total
            last, total = page[-1][0], total + len(page)
            activity.heartbeat(total)
