"""The rows behind `activities.calendar_store.Store`: one calendar of one person."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from activities import calendar_notices, metrics
from activities.calendar_locals import Locals, can_be_ours
from activities.calendar_rows import PAYLOAD, Sealer
from activities.calendar_store import Absent, LinkRow, Position, Settlement, Work
from core.db import SessionFactory
from core.failpoint import failpoint
from core.ids import new_id
from domain import appointment as rules
from domain.calendar import Event
from domain.calendar_sync import NAMES, Agreement, LinkState, Local, adopted_id
from integrations.calendar.protocol import CalendarProvider, Change, Page, RemoteEvent
from models.calendar_sync import CalendarConflict
from models.notification import MailTemplate
from models.queries import appointments
from models.queries import calendar_inbox as inbox
from models.queries import calendar_sync as rows
from models.queries.calendar_sync import Calendar, Shown

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

    @property
    def shown(self) -> Shown:
        """What the calendar shows."""
        return Shown.of(self.found)

    async def position(self) -> Position:
        """See the port. A cursor of another shape, or one that is too old, is none."""
        async with self.sessions() as session:
            row = await rows.calendar(session, self.link_id)
        if row is None:
            return Position()
        if row.cursor is not None and (row.cursor_shape_version != SHAPE or _is_old(row)):
            return Position(epoch=row.full_epoch, news=row.news, news_read=row.news_read)
        return Position(row.cursor, row.page_state, row.full_sync_in_progress, row.full_epoch, row.news, row.news_read)

    async def begin_full(self) -> Position:
        """See the port."""
        async with self.sessions.begin() as session:
            begun = await inbox.begin_full(session, self.link_id, SHAPE)
        return Position(full=True, epoch=begun["full_epoch"], news=begun["news"], news_read=begun["news_read"])

    async def take_page(self, position: Position, page: Page) -> Position:
        """See the port."""
        entries = [await self._entry(change) for change in page.changes]
        async with self.sessions.begin() as session:
            await inbox.keep_page(session, self.link_id, position.epoch, entries)
            if page.next_page is not None:
                await inbox.next_page(session, self.link_id, page.next_page)
            else:
                epoch, full, news = position.epoch, position.full, position.news
                await inbox.round_read(session, self.link_id, page.cursor, SHAPE, epoch, full=full, news=news)
        failpoint("calendar_after_page")
        if page.next_page is not None:
            return replace(position, page=page.next_page)
        return Position(page.cursor, None, False, position.epoch, position.news, position.news)

    async def absent(self) -> Absent:
        """See the port."""
        async with self.sessions() as session:
            found = await inbox.absent(session, self.link_id)
        return Absent(found["gone"], found["live"], found["full_listed"]) if found else Absent(0, 0, None)

    async def strangers(self, limit: int, *, adopt: bool) -> Sequence[Change]:
        """See the port."""
        async with self.sessions() as session:
            found = await inbox.strangers(session, self.link_id, limit, adopt=adopt)
        return [await self._change(row) for row in found]

    async def adopt(self, remotes: Sequence[RemoteEvent]) -> Sequence[str]:
        """See the port. An id whose appointment was deleted since is not taken again: the event came back."""
        calendar = self.found
        async with self.sessions.begin() as session:
            ids = await self._free_ids(session, [remote.remote_id for remote in remotes])
            events = {ids[remote.remote_id]: remote.event for remote in remotes}
            versions = await self.locals.adopt(session, events, calendar.household_id, calendar.user_id)
            taken = {ids[remote.remote_id]: remote for remote in remotes if ids[remote.remote_id] in versions}
            links = [await self._adopted(local_id, versions[local_id], remote) for local_id, remote in taken.items()]
            await rows.add_links(session, links)
            await inbox.handled(session, self.link_id, {remote.remote_id: remote.etag for remote in taken.values()})
        for _ in taken:
            metrics.calendar_agreed(self.found.provider, here=True, there=False)
        failpoint("calendar_after_adopt")
        return [remote.remote_id for remote in remotes if ids[remote.remote_id] not in versions]

    async def show(self, seen: Sequence[tuple[Change, Event]]) -> Sequence[str]:
        """See the port."""
        refused = [change.remote_id for change, event in seen if not can_be_ours(event)]
        shown = [
            await self._shown(change, rules.check(event)) for change, event in seen if change.remote_id not in refused
        ]
        async with self.sessions.begin() as session:
            await inbox.show(session, self.link_id, shown)
        failpoint("calendar_after_show")
        return refused

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
            await inbox.handled(session, self.link_id, {remote_id: etag})

    async def pending(self, limit: int, *, without_deletions: bool) -> Sequence[tuple[UUID, str | None]]:
        """See the port."""
        async with self.sessions.begin() as session:
            await self._link_what_is_new(session, limit)
            return await rows.pending(session, self.link_id, self.shown, limit, without_deletions=without_deletions)

    async def load(self, link_ids: Sequence[UUID]) -> Sequence[Work]:
        """See the port."""
        async with self.sessions() as session:
            found = await rows.load(session, link_ids, self.shown)
            known = await self.locals.load(session, found)
        return [await self._work(row, local) for row, local in zip(found, known, strict=True)]

    async def _work(self, row: RowMapping, local: Local) -> Work:
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

    async def intend(self, links: Sequence[LinkRow]) -> None:
        """See the port."""
        values = [
            {
                "id": link.id,
                "intent_ct": await self.sealer.seal_intent(link.id, link.intent),
                "remote_id": link.remote_id,
                "generation": link.generation,
            }
            for link in links
        ]
        async with self.sessions.begin() as session:
            await rows.intend(session, values)
        failpoint("calendar_after_intent")

    async def settle(self, settlements: Sequence[Settlement]) -> Collection[UUID]:
        """See the port."""
        async with self.sessions.begin() as session:
            found = {row["id"]: row for row in await rows.pairs(session, [each.link.id for each in settlements])}
            versions = await self.locals.versions(session, list(found.values()))
            done = [each for each in settlements if versions.get(each.link.id) == each.work.local.version]
            for each in done:
                versions |= await self._change_here(session, each, found[each.link.id])
                if each.revive:
                    await self._tell_of_return(session, each)
            await rows.save_links(session, [await self._saved(each.link, versions[each.link.id]) for each in done])
            lost = [(each.link.id, conflict) for each in done for conflict in each.conflicts]
            await rows.add_conflicts(session, [await self._conflict(*each) for each in lost])
            await inbox.handled(session, self.link_id, _seen(each.work for each in done))
        for each in done:
            written = each.write is not None or each.delete
            winners = [conflict.winner for conflict in each.conflicts]
            metrics.calendar_agreed(self.found.provider, here=written, there=each.sent, winners=winners)
        failpoint("calendar_after_settle")
        return {each.link.id for each in done}

    async def quarantine(self, work: Work, reason: str) -> None:
        """See the port."""
        link = replace(work.link, state=LinkState.QUARANTINED, intent=None)
        async with self.sessions.begin() as session:
            found = await rows.pairs(session, [link.id])
            versions = await self.locals.versions(session, found)
            await rows.save_links(session, [await self._saved(link, versions[row["id"]], reason) for row in found])
            await inbox.handled(session, self.link_id, _seen([work]))
        metrics.calendar_quarantined(self.found.provider, reason)

    async def put_off(self, link_id: UUID) -> int:
        """See the port."""
        async with self.sessions.begin() as session:
            return await rows.put_off(session, link_id)

    async def _change_here(self, session: AsyncSession, settlement: Settlement, row: RowMapping) -> dict[UUID, int]:
        """Write or delete the local row, if that was decided; the version it has then."""
        version = settlement.work.local.version
        if settlement.write is not None:
            await self.locals.write(session, row, settlement.write, version)
        elif settlement.delete:
            await self.locals.delete(session, row, version)
        else:
            return {}
        return await self.locals.versions(session, [row])

    async def _tell_of_return(self, session: AsyncSession, settlement: Settlement) -> None:
        """Whoever deleted it, or called it off, finds it in their lists again: its person reads why."""
        local, event = settlement.work.local, settlement.write
        assert event is not None  # noqa: S101 - what comes back is written
        once, words = f"{settlement.link.id}/{local.version}", {"title": event.title, "called_off": bool(local.event)}
        cipher, revived = self.sealer.cipher, MailTemplate.CALENDAR_REVIVED
        await calendar_notices.tell(session, cipher, self.found, revived, once, **words)

    async def _saved(self, link: LinkRow, version: int, error: str | None = None) -> dict[str, Any]:
        return {
            "id": link.id,
            "state": link.state,
            "remote_id": link.remote_id,
            "etag": link.etag,
            "generation": link.generation,
            "agreed_ct": await self.sealer.seal_agreed(link.id, link.agreed),
            "intent_ct": None,
            "version": version,
            "error": error,
        }

    async def _adopted(self, local_id: UUID, version: int, remote: RemoteEvent) -> dict[str, Any]:
        link_id = new_id()
        return {
            "id": link_id,
            "calendar_link_id": self.link_id,
            "appointment_id": local_id,
            "remote_id": remote.remote_id,
            "remote_etag": remote.etag,
            "local_version_at_base": version,
            "agreed_ct": await self.sealer.seal_agreed(link_id, Agreement(remote.event, remote.event)),
        }

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

    async def _shown(self, change: Change, event: Event) -> dict[str, object]:
        starts_utc, ends_utc = rules.reach(event)
        return {
            "remote_id": change.remote_id,
            "etag": change.etag,
            "event_ct": await self.sealer.seal_shown(adopted_id(self.link_id, change.remote_id), event),
            "starts_utc": starts_utc,
            "ends_utc": ends_utc,
        }

    async def _change(self, row: RowMapping) -> Change:
        remote_id, etag = row["remote_id"], row["payload_etag"]
        raw = await self.sealer.open(PAYLOAD, adopted_id(self.link_id, remote_id), row["payload_ct"])
        return Change(remote_id, self.provider.read(raw) if raw else None, etag)

    async def _link_what_is_new(self, session: AsyncSession, limit: int) -> None:
        """Pairs without a counterpart yet, for what this calendar has no event of."""
        unlinked = await rows.unlinked(session, self.link_id, self.shown, limit)
        await rows.add_links(
            session, [self._new(appointment_id=row["id"], generation=row["generation"]) for row in unlinked]
        )
        for reminder_id in await rows.rescheduled(session, self.link_id, self.shown, limit):
            known = await rows.generations(session, self.link_id, reminder_id)
            parts = await self.locals.parts(session, reminder_id)
            new = [self._new(reminder_id=reminder_id, part=part, generation=known.get(part, 0)) for part in parts]
            await rows.add_links(session, new)

    def _new(self, **values: Any) -> dict[str, Any]:
        return {"id": new_id(), "calendar_link_id": self.link_id, **values}

    async def _free_ids(self, session: AsyncSession, remote_ids: Sequence[str]) -> dict[str, UUID]:
        ids = {remote_id: adopted_id(self.link_id, remote_id) for remote_id in remote_ids}
        while deleted := await appointments.deleted_among(session, list(ids.values())):
            ids = {
                remote_id: uuid5(NAMES, str(local_id)) if local_id in deleted else local_id
                for remote_id, local_id in ids.items()
            }
        return ids


def _seen(works: Iterable[Work]) -> dict[str, str | None]:
    """What the list said of these: the etags that were looked at, by remote id."""
    return {work.link.remote_id: work.listed for work in works if work.link.remote_id is not None}


def _is_old(row: Calendar) -> bool:
    """Whether it is time for a whole list, at an hour of the calendar's own."""
    spread = _SPREAD * (row.id.int % 1_000 / 1_000)
    return row.last_full_at is None or bool(row.now - row.last_full_at > LONGEST_CURSOR - spread)
