"""One calendar brought up to date: read its list, take up what is new, bring every pair into agreement.

Each step may be repeated from the beginning at any time: what is done is not found again.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from activities.calendar_create import Creator
from activities.calendar_read import read
from activities.calendar_reconcile import Outcome, Reconciler
from activities.calendar_store import Position, Store
from domain.calendar_sync import Policy, name_of, too_many_gone
from integrations.calendar.protocol import (
    CalendarProvider,
    Change,
    CursorExpired,
    EtagMismatch,
    EventGone,
    EventRejected,
    Misunderstood,
    RemoteEvent,
)

MOST_PAGES: Final = 500
BATCH: Final = 200
"""Events of one activity: seconds, or a minute at a slow server; some hundred kilobytes."""
MOST_TRIES: Final = 3
"""Runs in which somebody was always quicker, before an event is left alone until it changes."""


class Endless(Misunderstood):
    """A list that repeats itself or does not end (calendar-sync.md §4.6 d)."""

    code = "calendar_endless_list"


class Doubt(StrEnum):
    """What to do about deletions: `calendar_links.health` says it, and a person can confirm them."""

    NONE = "none"
    DELETES_PAUSED = "deletes_paused"


@dataclass(frozen=True, slots=True)
class Engine:
    """For one calendar. `now` is naive, in the zone of the person; `confirmed`: they said that deletions are meant."""

    store: Store
    provider: CalendarProvider
    calendar_id: str
    link_id: UUID
    policy: Policy
    now: datetime
    confirmed: bool = False

    async def pull(self, *, poll: bool = True) -> bool:
        """Read the list to its end, whole where the cursor does not count any more or the last list was not believed. A
        page that was kept is not read again. Without `poll` only if something is known to be unread; False: it was not
        read. Raises `Endless`, and the provider's errors."""
        position = await self.store.position()
        if position.is_read and not poll:
            return False
        if not position.full and (position.cursor is None or await self.doubt() is not Doubt.NONE):
            position = await self.store.begin_full()
        try:
            if position.page is not None:  # what changed since then may be of a page that was read before
                await self._read_on(replace(position, news=position.news_read))
                position = await self.store.position()
            await self._read_on(position)
        except CursorExpired:
            await self._read_on(await self.store.begin_full())
        return True

    async def _read_on(self, position: Position) -> None:
        ids: set[tuple[str, ...]] = set()
        for _ in range(MOST_PAGES):
            cursor = None if position.full else position.cursor
            page = await self.provider.list_changes(self.calendar_id, cursor, position.page)
            listed = page.named or tuple(change.remote_id for change in page.changes)
            if listed and page.next_page is not None and listed in ids:
                break
            ids.add(listed)
            position = await self.store.take_page(position, page)
            if page.next_page is None:
                return
        await self.store.begin_full()
        raise Endless("the list does not end")

    async def doubt(self) -> Doubt:
        """Whether the list says so much is gone that it is not believed."""
        absent = await self.store.absent()
        doubtful = too_many_gone(absent.gone, absent.live, absent.listed if absent.listed is not None else absent.gone)
        return Doubt.DELETES_PAUSED if doubtful and not self.confirmed else Doubt.NONE

    async def is_open(self, doubt: Doubt) -> bool:
        """Whether there is anything to do."""
        doubtful = doubt is Doubt.DELETES_PAUSED
        return bool(
            await self.store.strangers(1, adopt=self.policy.adopt)
            or await self.store.pending(1, without_deletions=doubtful)
        )

    async def work(self, doubt: Doubt = Doubt.NONE) -> bool:
        """A batch of new events and pairs. False: it was not full, so nothing is left that was there when it began."""
        strangers = await self.store.strangers(BATCH, adopt=self.policy.adopt)
        await self._take_up(await self._fetched(strangers))
        pending = await self.store.pending(BATCH, without_deletions=doubt is Doubt.DELETES_PAUSED)
        await self._reconcile(pending)
        return BATCH in (len(strangers), len(pending))

    async def _fetched(self, changes: Sequence[Change]) -> Sequence[tuple[Change, RemoteEvent | None]]:
        missing = [change.remote_id for change in changes if change.found is None]
        found = await self.provider.get_many(self.calendar_id, missing) if missing else {}
        looked = [(change, change.found or found.get(change.remote_id)) for change in changes]
        return [(change, remote or await self._alone(change)) for change, remote in looked]

    async def _alone(self, change: Change) -> RemoteEvent | None:
        """An answer for many may leave something out; asked for by itself it is there, gone, or nothing for us."""
        try:
            return await self.provider.get(self.calendar_id, change.remote_id)
        except EventRejected:
            return None

    async def _take_up(self, fetched: Sequence[tuple[Change, RemoteEvent | None]]) -> None:
        """Events that no link knows: somebody's own all at once, the others one by one."""
        own: list[tuple[Change, RemoteEvent]] = []
        for change, remote in fetched:
            if remote is not None and remote.marker is None:
                with suppress(EventRejected):
                    own.append((change, read(remote, self.provider)))
                    continue
            await self._take_up_one(change, remote)
        refused = await self._take_over(own) if own else ()
        for change, seen in own:
            if seen.remote_id in refused:
                await self.store.ignore(change.remote_id, change.etag)

    async def _take_over(self, own: Sequence[tuple[Change, RemoteEvent]]) -> Sequence[str]:
        """Somebody's own events, as appointments or to be shown beside them. Answers the ids of those that cannot be
        either."""
        if self.policy.adopt:
            return await self.store.adopt([seen for _, seen in own])
        return await self.store.show([(change, seen.event) for change, seen in own])

    async def _take_up_one(self, change: Change, remote: RemoteEvent | None) -> None:
        """An event that no link knows. What cannot be one of ours, or is another by now, is left until it changes."""
        with suppress(EventRejected, EventGone, EtagMismatch):
            if remote is not None and await self._is_taken(change, read(remote, self.provider)):
                return
        await self.store.ignore(change.remote_id, change.etag)

    async def _is_taken(self, change: Change, seen: RemoteEvent) -> bool:
        """Ours after all, or a copy of ours, which is somebody's own."""
        marker = seen.marker
        if marker is not None:
            ours = name_of(self.link_id, marker.local_id, marker.part, marker.generation)
            if seen.ident == ours and await self.store.relink(seen):
                return True
        if marker is not None and self.policy.adopt:  # it becomes an event of its own, without our mark
            seen = read(await self.provider.update(self.calendar_id, seen, seen.event, marker=False), self.provider)
        return not await self._take_over([(change, seen)])

    async def _reconcile(self, pending: Sequence[tuple[UUID, str | None]]) -> None:
        reconciler = Reconciler(self.store, self.provider, self.calendar_id, self.link_id, self.policy, self.now)
        made = await self._create([link_id for link_id, remote_id in pending if remote_id is None])
        fetched = await self._look([remote_id for _, remote_id in pending if remote_id is not None])
        for link_id, _ in pending:
            if link_id in made:
                continue
            if await reconciler.reconcile(link_id, fetched) is not Outcome.AGAIN:
                continue
            if await self.store.put_off(link_id) >= MOST_TRIES:
                for work in await self.store.load([link_id]):
                    await self.store.quarantine(work, "always_changing")

    async def _create(self, link_ids: Sequence[UUID]) -> Collection[UUID]:
        """Counterparts of pairs that have none; answers which of them need nothing more."""
        works = await self.store.load(link_ids) if link_ids else ()
        creator = Creator(self.provider, self.calendar_id, self.link_id)
        return await creator.make_all(self.store, works, self.policy, self.now)

    async def _look(self, remote_ids: Sequence[str]) -> Mapping[str, RemoteEvent]:
        """All of a batch in as few calls as there are. What is not in the answer is asked for by itself: nothing is
        deleted because an answer was short."""
        return await self.provider.get_many(self.calendar_id, remote_ids) if remote_ids else {}
