"""What the calendar sync remembers, in memory: every method is one transaction, and the process may die after any."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid5

from activities.calendar_store import Absent, LinkRow, Position, Settlement, Work
from domain.calendar import EVERYTHING, Capabilities, Event
from domain.calendar_merge import Conflict
from domain.calendar_sync import NAMES, Agreement, LinkState, Local, adopted_id
from integrations.calendar.protocol import Change, Page, RemoteEvent


class Crash(BaseException):
    """The process is killed."""


@dataclass
class Steps:
    """Everything that outlives a process: commits and remote writes. It dies after number `crash_at`."""

    crash_at: int | None = None
    count: int = 0

    def passed(self) -> None:
        self.count += 1
        if self.crash_at is not None and self.count >= self.crash_at:
            self.crash_at = None
            raise Crash


@dataclass(frozen=True)
class Row:
    """A local event; without `event` it was deleted."""

    event: Event | None
    version: int
    updated_at: datetime


@dataclass(frozen=True)
class Entry:
    """What the list said of one id."""

    change: Change
    epoch: int
    handled: bool = False
    shown: Event | None = None


@dataclass
class MemoryStore:
    """Behind `activities.calendar_store.Store`. `side` is what local rows can hold; `between` runs once after the next
    intent: somebody edits while we write."""

    link_id: UUID
    steps: Steps
    seconds: Callable[[], int]
    side: Capabilities = EVERYTHING
    deletable: bool = True
    rows: dict[UUID, Row] = field(default_factory=dict)
    links: dict[UUID, LinkRow] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    reasons: dict[UUID, str] = field(default_factory=dict)
    delays: dict[UUID, int] = field(default_factory=dict)
    at: Position = field(default_factory=Position)
    listed: int | None = None
    between: Callable[[], None] | None = None

    def put(self, local_id: UUID, event: Event | None) -> None:
        """A person writes, or deletes, a local event."""
        version = self.rows[local_id].version + 1 if local_id in self.rows else 1
        self.rows[local_id] = Row(event, version, datetime.fromtimestamp(self.seconds(), UTC))

    def live(self) -> dict[UUID, Event]:
        """The local events that there are."""
        return {local_id: row.event for local_id, row in self.rows.items() if row.event is not None}

    async def position(self) -> Position:
        return self.at

    async def begin_full(self) -> Position:
        self.at = Position(cursor=None, page=None, full=True, epoch=self.at.epoch + 1)
        self.steps.passed()
        return self.at

    async def take_page(self, position: Position, page: Page) -> Position:
        for change in page.changes:
            known = self.entries.get(change.remote_id)
            same = known is not None and known.handled and change.etag is not None and known.change.etag == change.etag
            handled, shown = same and not change.removed, known.shown if known else None
            self.entries[change.remote_id] = Entry(change, position.epoch, handled=handled, shown=shown)
        if page.next_page is not None:
            self.at = replace(position, page=page.next_page)
        else:
            if position.full:
                self._sweep(position.epoch)
            self.at = Position(page.cursor, None, False, position.epoch)
        self.steps.passed()
        return self.at

    def _sweep(self, epoch: int) -> None:
        seen = {remote_id for remote_id, entry in self.entries.items() if entry.epoch == epoch}
        self.listed = len(seen)
        for link in self._with_counterpart():
            if link.remote_id is not None and link.remote_id not in seen:
                self.entries[link.remote_id] = Entry(Change(link.remote_id, removed=True), epoch)
        for remote_id, entry in self.entries.items():
            if (not entry.handled or entry.shown) and remote_id not in seen:
                self.entries[remote_id] = replace(entry, change=replace(entry.change, found=None), handled=False)

    async def absent(self) -> Absent:
        live = self._with_counterpart()
        gone = [each for each in live if each.remote_id and self._says_gone(each.remote_id)]
        return Absent(len(gone), len(live), self.listed)

    async def strangers(self, limit: int, *, adopt: bool) -> Sequence[Change]:
        known = {link.remote_id for link in self.links.values()}
        wanted = [e.change for e in self.entries.values() if not e.handled or (adopt and e.shown is not None)]
        unknown = [change for change in wanted if change.remote_id not in known]
        for change in unknown:
            if change.removed:
                del self.entries[change.remote_id]
        return [change for change in unknown if not change.removed][:limit]

    async def adopt(self, remotes: Sequence[RemoteEvent]) -> Sequence[str]:
        for remote in remotes:
            self._adopt(remote)
        self.steps.passed()
        return ()

    async def show(self, seen: Sequence[tuple[Change, Event]]) -> Sequence[str]:
        for change, event in seen:
            self._handle(change.remote_id, change.etag, event)
        self.steps.passed()
        return ()

    def _adopt(self, remote: RemoteEvent) -> None:
        local_id = adopted_id(self.link_id, remote.remote_id)
        while local_id in self.rows and self.rows[local_id].event is None:
            local_id = uuid5(NAMES, str(local_id))
        if local_id not in self.rows:
            self.put(local_id, remote.event)
        link = LinkRow(
            id=uuid5(NAMES, f"link|{local_id}"),
            local_id=local_id,
            remote_id=remote.remote_id,
            etag=remote.etag,
            agreed=Agreement(remote.event, remote.event),
            local_version=self.rows[local_id].version,
        )
        self.links[link.id] = link
        self._handle(remote.remote_id, remote.etag)

    async def relink(self, remote: RemoteEvent) -> bool:
        marker = remote.marker
        assert marker is not None
        link = self._link_of(marker.local_id)
        if link is None or (link.remote_id is not None and marker.generation < link.generation):
            return False
        self.links[link.id] = replace(link, remote_id=remote.remote_id, generation=marker.generation + 1)
        self.steps.passed()
        return True

    async def ignore(self, remote_id: str, etag: str | None) -> None:
        self._handle(remote_id, etag)
        self.steps.passed()

    async def pending(self, limit: int, *, without_deletions: bool) -> Sequence[tuple[UUID, str | None]]:
        self._ensure_links()
        found = []
        for link in self.links.values():
            if link.state in (LinkState.DEAD, LinkState.HIDDEN):
                continue
            entry = self.entries.get(link.remote_id) if link.remote_id else None
            told = entry is not None and not entry.handled
            if told and without_deletions and entry is not None and entry.change.removed:
                continue
            if link.intent or told or link.local_version != self.rows[link.local_id].version:
                found.append((link.id, link.remote_id))
        return found[:limit]

    async def load(self, link_ids: Sequence[UUID]) -> Sequence[Work]:
        return [self._work(self.links[link_id]) for link_id in link_ids if link_id in self.links]

    def _work(self, link: LinkRow) -> Work:
        row = self.rows[link.local_id]
        local = Local(row.event, row.version, row.updated_at, self.side, self.deletable)
        entry = self.entries.get(link.remote_id) if link.remote_id else None
        if entry is None:
            return Work(link, local)
        return Work(link, local, entry.change.etag, entry.change.removed, entry.handled)

    async def intend(self, links: Sequence[LinkRow]) -> None:
        self.links |= {link.id: link for link in links}
        self.steps.passed()
        if self.between is not None:
            edit, self.between = self.between, None
            edit()

    async def settle(self, settlements: Sequence[Settlement]) -> Collection[UUID]:
        done = {each.link.id for each in settlements if self._settle(each)}
        self.steps.passed()
        return done

    def _settle(self, settlement: Settlement) -> bool:
        work, link = settlement.work, settlement.link
        row = self.rows[link.local_id]
        if row.version != work.local.version:
            return False
        if settlement.write is not None:
            self.put(link.local_id, settlement.write)
        elif settlement.delete:
            self.put(link.local_id, None)
        self.links[link.id] = replace(link, local_version=self.rows[link.local_id].version)
        self.conflicts += settlement.conflicts
        self.delays.pop(link.id, None)
        if work.link.remote_id is not None:
            self._handle(work.link.remote_id, work.listed)
        return True

    async def quarantine(self, work: Work, reason: str) -> None:
        link = work.link
        self.links[link.id] = replace(link, state=LinkState.QUARANTINED, intent=None, local_version=work.local.version)
        self.reasons[link.id] = reason
        if link.remote_id is not None:
            self._handle(link.remote_id, work.listed)
        self.steps.passed()

    async def put_off(self, link_id: UUID) -> int:
        self.delays[link_id] = self.delays.get(link_id, 0) + 1
        return self.delays[link_id]

    def _with_counterpart(self) -> list[LinkRow]:
        states = (LinkState.LIVE, LinkState.QUARANTINED)
        return [each for each in self.links.values() if each.state in states and each.remote_id is not None]

    def _says_gone(self, remote_id: str) -> bool:
        entry = self.entries.get(remote_id)
        return entry is not None and not entry.handled and entry.change.removed

    def _handle(self, remote_id: str, etag: str | None, shown: Event | None = None) -> None:
        entry = self.entries.get(remote_id)
        if entry is not None and entry.change.etag == etag:
            self.entries[remote_id] = replace(entry, handled=True, shown=shown)

    def _link_of(self, local_id: UUID) -> LinkRow | None:
        return next((x for x in self.links.values() if x.local_id == local_id and x.state is not LinkState.DEAD), None)

    def _ensure_links(self) -> None:
        for local_id, row in self.rows.items():
            if row.event is None or self._link_of(local_id) is not None:
                continue
            dead = [each for each in self.links.values() if each.local_id == local_id]
            generation = max((each.generation for each in dead), default=0)
            link = LinkRow(uuid5(NAMES, f"link|{local_id}|{len(dead)}"), local_id, generation=generation)
            self.links[link.id] = link
