"""Moving pending occurrences to new zone data. May run twice: what was moved carries the new version."""

from uuid import UUID

from temporalio import activity

from core.db import SessionFactory
from domain import reminder_machine
from domain.reminder_actions import Move
from models.queries import reminders, zone_data
from models.queries.zone_data import Stale
from temporal import outbox
from temporal.contracts.zone_data import Moved, MoveOccurrences, RolledOver


class ZoneDataActivities:
    """See the module."""

    def __init__(self, sessions: SessionFactory) -> None:
        self.sessions = sessions

    @activity.defn
    async def move_occurrences(self, request: MoveOccurrences) -> RolledOver:
        """Page by page, each occurrence in a transaction of its own; heartbeats with the last one looked at."""
        after, checked = _resumed()
        async with self.sessions.begin() as session:
            await zone_data.begin(session, request.version)
        while page := await self._page(request, after):
            for stale in page:
                await self._move(request.version, stale)
            after, checked = page[-1].id, checked + len(page)
            activity.heartbeat(str(after), checked)
        async with self.sessions.begin() as session:
            moved = await zone_data.finish(session, request.version, checked)
            examples = await zone_data.report(session, request.version)
        shown = tuple(Moved(move.occurrence_id, move.tzid, move.was, move.now) for move in examples)
        return RolledOver(checked, moved, shown)

    async def _page(self, request: MoveOccurrences, after: UUID | None) -> list[Stale]:
        async with self.sessions() as session:
            return await zone_data.stale(session, request.version, after, request.page_size)

    async def _move(self, version: str, stale: Stale) -> None:
        """What a journey does: the same nominal on the clock that counts today. The bell only where it moved."""
        async with self.sessions.begin() as session:
            locked = await reminders.lock(session, stale.reminder_id)
            was = None if locked is None else locked.series.pending
            if locked is None or was is None or was.tzdata_version == version:
                return
            series = reminder_machine.apply(locked.series, Move(), locked.read_at).series
            now = series.find(was.key)
            rows = await reminders.save(session, locked, series)
            if now.instant == was.instant:
                return
            move = zone_data.Move(rows[was.key], was.tzid or series.zone, was.tzdata_version, was.instant, now.instant)
            await zone_data.keep(session, version, move)
            await outbox.ring_reminder(session, series.household_id, series.reminder_id, watching=locked.watching)


def _resumed() -> tuple[UUID | None, int]:
    """Last occurrence and how many were checked, of the page that the former attempt told of last."""
    details = activity.info().heartbeat_details
    if not details:
        return None, 0
    last, checked = details
    return UUID(last), checked
