"""The rows behind `activities.calendar_store.Store`: one calendar of one person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from activities.calendar_locals import Locals
from activities.calendar_rows import PAYLOAD, Sealer
from activities.calendar_store import Absent, LinkRow, Position, Settlement, Work
from core.db import SessionFactory
from core.failpoint import failpoint
from core.ids import new_id
from domain.calendar_sync import NAMES, Agreement, LinkState, adopted_id
from integrations.calendar.protocol import CalendarProvider, Change, Page, RemoteEvent
from models.calendar_sync import CalendarConflict, EventLink
from models.queries import appointments
from models.queries import calendar_sync as rows
from models.queries.appointments import Whose
from models.queries.calendar_sync import Calendar

SHAPE: Final = 1
"""Of the lists that are asked for; another number makes every cursor invalid (calendar-sync.md §4.6 f)."""
LONGEST_CURSOR: Final = timedelta(days=7)
"""After this a whole list is read anyway, each calendar at another time of the week."""
_SPREAD: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """`found` is the calendar as it was when the work began."""

    sessions: SessionFactory
    sealer: Sealer
    locals: Locals
    provider: CalendarProvider
    found: Calendar

    @property
    def link_id(self) -> UUID:
        """Of the calendar."""
        link_id: UUID = self.found.id
        return link_id

    async def position(self) -> Position:
        """See the port. A cursor of another shape, or one that is too old, is none."""
        async with self.sessions() as session:
            row = await rows.calendar(session, self.link_id)
        if row is None:
            return Position()
        if row.cursor is not None and (row.cursor_shape_version != SHAPE or _is_old(row)):
            return Position(epoch=row.full_epoch)
        return Position(row.cursor, row.page_state, row.full_sync_in_progress, row.full_epoch)

    async def begin_full(self) -> Position:
        """See the port."""
        async with self.sessions.begin() as session:
            return Position(full=True, epoch=await rows.begin_full(session, self.link_id, SHAPE))

    async def take_page(self, position: Position, page: Page) -> Position:
        """See the port."""
        entries = [await self._entry(change) for change in page.changes]
        async with self.sessions.begin() as session:
            await rows.keep_page(session, self.link_id, position.epoch, entries)
            if page.next_page is not None:
                await rows.next_page(session, self.link_id, page.next_page)
            else:
                epoch, full = position.epoch, position.full
                await rows.round_read(session, self.link_id, page.cursor, SHAPE, epoch, full=full)
        failpoint("calendar_after_page")
        if page.next_page is not None:
            return replace(position, page=page.next_page)
        return Position(page.cursor, None, False, position.epoch)

    async def absent(self) -> Absent:
        """See the port."""
        async with self.sessions() as session:
            gone, live = await rows.absent(session, self.link_id)
            row = await rows.calendar(session, self.link_id)
        return Absent(gone, live, row.full_listed if row else None)

    async def strangers(self, limit: int) -> Sequence[Change]:
        """See the port."""
        async with self.sessions() as session:
            found = await rows.strangers(session, self.link_id, limit)
        return [await self._change(row) for row in found]

    async def adopt(self, remote: RemoteEvent) -> None:
        """See the port. An id whose appointment was deleted since is not taken again: the event came back."""
        calendar = self.found
        async with self.sessions.begin() as session:
            local_id = await self._free_id(session, remote.remote_id)
            whose = Whose(local_id, calendar.household_id, calendar.user_id, adopted_link_id=self.link_id)
            await self.locals.adopt(session, remote.event, whose)
            loaded = await appointments.load(session, local_id, lock=False)
            link = EventLink(
                id=new_id(),
                calendar_link_id=self.link_id,
                appointment_id=local_id,
                remote_id=remote.remote_id,
                remote_etag=remote.etag,
                local_version_at_base=loaded.row.version if loaded else -1,
            )
            link.agreed_ct = await self.sealer.seal_agreed(link.id, Agreement(remote.event, remote.event))
            await rows.add_link(session, link)
            await rows.handled(session, self.link_id, remote.remote_id, remote.etag)
        failpoint("calendar_after_adopt")

    async def relink(self, remote: RemoteEvent) -> bool:
        """See the port."""
        marker = remote.marker
        assert marker is not None  # noqa: S101 - the caller read it
        async with self.sessions.begin() as session:
            found = await rows.of_local(session, self.link_id, marker.local_id, marker.part)
            if found is None or (found["remote_id"] is not None and marker.generation < found["generation"]):
                return False
            await rows.found_again(session, found["id"], remote.remote_id, marker.generation + 1)
            return True

    async def ignore(self, remote_id: str, etag: str | None) -> None:
        """See the port."""
        async with self.sessions.begin() as session:
            await rows.handled(session, self.link_id, remote_id, etag)

    async def pending(self, limit: int, *, without_deletions: bool) -> Sequence[tuple[UUID, str | None]]:
        """See the port."""
        user_id = self.found.user_id
        async with self.sessions.begin() as session:
            await self._link_what_is_new(session, limit)
            return await rows.pending(session, self.link_id, user_id, limit, without_deletions=without_deletions)

    async def load(self, link_id: UUID) -> Work | None:
        """See the port."""
        async with self.sessions() as session:
            row = await rows.load(session, link_id, self.found.user_id)
            if row is None:
                return None
            local = await self.locals.load(session, row)
        link = LinkRow(
            id=row["id"],
            local_id=row["local_id"],
            part=row["part"],
            state=LinkState(row["state"]),
            remote_id=row["remote_id"],
            etag=row["remote_etag"],
            agreed=await self.sealer.open_agreed(row["id"], row["agreed_ct"]),
            local_version=row["local_version_at_base"],
            intent=await self.sealer.open_intent(row["id"], row["intent_ct"]),
            generation=row["generation"],
        )
        return Work(link, local, row["payload_etag"], row["removed"], row["handled"])

    async def intend(self, link: LinkRow) -> None:
        """See the port."""
        sealed = await self.sealer.seal_intent(link.id, link.intent)
        async with self.sessions.begin() as session:
            await rows.intend(
                session, id=link.id, intent_ct=sealed, remote_id=link.remote_id, generation=link.generation
            )
        failpoint("calendar_after_intent")

    async def settle(self, settlement: Settlement) -> bool:
        """See the port."""
        work, link = settlement.work, settlement.link
        async with self.sessions.begin() as session:
            row = await rows.load(session, link.id, self.found.user_id)
            if row is None or await self.locals.version(session, row) != work.local.version:
                return False
            if settlement.write is not None:
                await self.locals.write(session, row, settlement.write, work.local.version)
            elif settlement.delete:
                await self.locals.delete(session, row, work.local.version)
            await self._save(session, row, link, error=None)
            await rows.add_conflicts(session, [await self._conflict(link.id, each) for each in settlement.conflicts])
            if work.link.remote_id is not None:
                await rows.handled(session, self.link_id, work.link.remote_id, work.listed)
        failpoint("calendar_after_settle")
        return True

    async def quarantine(self, work: Work, reason: str) -> None:
        """See the port."""
        link = replace(work.link, state=LinkState.QUARANTINED, intent=None)
        async with self.sessions.begin() as session:
            row = await rows.load(session, link.id, self.found.user_id)
            if row is None:
                return
            await self._save(session, row, link, error=reason)
            if link.remote_id is not None:
                await rows.handled(session, self.link_id, link.remote_id, work.listed)

    async def put_off(self, link_id: UUID) -> int:
        """See the port."""
        async with self.sessions.begin() as session:
            return await rows.put_off(session, link_id)

    async def _save(self, session: AsyncSession, row: RowMapping, link: LinkRow, *, error: str | None) -> None:
        await rows.save_link(
            session,
            id=link.id,
            state=link.state,
            remote_id=link.remote_id,
            etag=link.etag,
            generation=link.generation,
            agreed_ct=await self.sealer.seal_agreed(link.id, link.agreed),
            intent_ct=None,
            version=await self.locals.version(session, row),
            error=error,
        )

    async def _conflict(self, link_id: UUID, conflict: Any) -> CalendarConflict:
        row_id = new_id()
        return CalendarConflict(
            id=row_id,
            event_link_id=link_id,
            calendar_link_id=self.link_id,
            field=conflict.field,
            original=conflict.original and conflict.original.isoformat(),
            values_ct=await self.sealer.seal_values(row_id, conflict),
            winner=conflict.winner,
        )

    async def _entry(self, change: Change) -> dict[str, Any]:
        whole = change.found
        sealed = whole and await self.sealer.seal(PAYLOAD, adopted_id(self.link_id, change.remote_id), whole.raw)
        etag = whole.etag if whole else change.etag
        return {
            "remote_id": change.remote_id,
            "payload_ct": sealed or None,
            "payload_etag": etag,
            "removed": change.removed,
        }

    async def _change(self, row: RowMapping) -> Change:
        remote_id, etag = row["remote_id"], row["payload_etag"]
        raw = await self.sealer.open(PAYLOAD, adopted_id(self.link_id, remote_id), row["payload_ct"])
        return Change(remote_id, self.provider.read(raw) if raw else None, etag)

    async def _link_what_is_new(self, session: AsyncSession, limit: int) -> None:
        """Pairs without a counterpart yet, for what this calendar has no event of."""
        for found in await rows.unlinked(session, self.link_id, self.found.user_id, limit):
            link = EventLink(
                id=new_id(),
                calendar_link_id=self.link_id,
                appointment_id=found["id"],
                generation=found["generation"],
            )
            await rows.add_link(session, link)
        for reminder_id in await rows.rescheduled(session, self.link_id, self.found.user_id, limit):
            known = await rows.generations(session, self.link_id, reminder_id)
            for part in await self.locals.parts(session, reminder_id):
                link = EventLink(
                    id=new_id(),
                    calendar_link_id=self.link_id,
                    reminder_id=reminder_id,
                    part=part,
                    generation=known.get(part, 0),
                )
                await rows.add_link(session, link)

    async def _free_id(self, session: AsyncSession, remote_id: str) -> UUID:
        local_id = adopted_id(self.link_id, remote_id)
        while (loaded := await appointments.load(session, local_id, lock=False)) and loaded.row.deleted_at:
            local_id = uuid5(NAMES, str(local_id))
        return local_id


def _is_old(row: Calendar) -> bool:
    """Whether it is time for a whole list, at an hour of the calendar's own."""
    spread = _SPREAD * (row.id.int % 1_000 / 1_000)
    return row.last_full_at is None or bool(row.now - row.last_full_at > LONGEST_CURSOR - spread)
