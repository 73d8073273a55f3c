"""What the calendar sync remembers of one calendar between two looks, and how it is asked for it.

Links are pairs of a local event and its counterpart, entries what the calendar's list said of one id until somebody
looked at it, the position how far the list was read. The rows are Postgres'; the property tests have them in memory.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.calendar import Event
from domain.calendar_merge import Conflict
from domain.calendar_sync import Agreement, Intent, LinkState, Local
from integrations.calendar.protocol import Change, Page, RemoteEvent


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A pair as it is remembered. `remote_id` is None before there was a counterpart; `generation` names the next
    create. `owed` are conflicts that a write without an answer has decided; they are kept with its intent."""

    id: UUID
    local_id: UUID
    part: str = ""
    state: LinkState = LinkState.LIVE
    remote_id: str | None = None
    etag: str | None = None
    agreed: Agreement | None = None
    local_version: int = -1
    intent: Intent | None = None
    generation: int = 0
    owed: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """One link with its local side; `listed` is the etag that the calendar's list gave, `removed` whether it says that
    the event is gone, `handled` whether that was looked at already."""

    link: LinkRow
    local: Local
    listed: str | None = None
    removed: bool = False
    handled: bool = True

    @property
    def nothing_to_do(self) -> bool:
        """An echo of our own write, or nothing at all: no intent is open, and neither side moved."""
        link = self.link
        echo = not self.removed and self.listed is not None and self.listed == link.etag
        same_remote = self.handled or echo
        return link.intent is None and link.remote_id is not None and self.moved_nothing_here and same_remote

    @property
    def moved_nothing_here(self) -> bool:
        """Whether the local row is as it was at the last agreement, and its person still sees it."""
        lost = self.local.event is None and self.link.state is LinkState.LIVE
        return self.link.local_version == self.local.version and not lost


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one transaction writes: the link, the local row (if it is still at `local.version`), the conflicts, and that
    the list's entry was handled (if it is still the one that was looked at). `revive`: the write takes a deletion back,
    and its person is told. `sent`: the calendar was written to for it."""

    work: Work
    link: LinkRow
    write: Event | None = None
    delete: bool = False
    revive: bool = False
    conflicts: tuple[Conflict, ...] = ()
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """How far the calendar's list was read. `cursor` is None before the first whole list; `page` while a round is under
    way; `full` while that round is a whole list, number `epoch`. `news` counts how often somebody said that the
    calendar may have changed, `news_read` how often they had before the last round that was read to its end."""

    cursor: str | None = None
    page: str | None = None
    full: bool = False
    epoch: int = 0
    news: int = 0
    news_read: int = 0

    @property
    def is_read(self) -> bool:
        """Whether nothing is known that would be worth another list."""
        return self.cursor is not None and not self.is_interrupted and self.news == self.news_read

    @property
    def is_interrupted(self) -> bool:
        """Whether a round has begun and not ended."""
        return self.full or self.page is not None


@dataclass(frozen=True, slots=True)
class Absent:
    """Of the live links: how many the calendar says are gone, out of how many (0 where none is gone); `listed` is the
    length of the list that says so, None where single deletions were told."""

    gone: int
    live: int
    listed: int | None


class Store(Protocol):
    """Of one calendar. Each method is one transaction."""

    async def position(self) -> Position:
        """How far the list was read."""

    async def begin_full(self) -> Position:
        """A whole list begins: a new epoch, from its first page."""

    async def take_page(self, position: Position, page: Page) -> Position:
        """Keep a page: its entries, and where the next one begins. The cursor never moves ahead of them. With the last
        page of a whole list the live links that no page named become entries that say they are gone, each to be
        verified; so is what nobody took up yet and no page named."""

    async def absent(self) -> Absent:
        """What the entries that nobody looked at yet say is gone."""

    async def strangers(self, limit: int, *, adopt: bool) -> Sequence[Change]:
        """Entries without a link that nobody looked at yet, with `adopt` also those that are only shown so far; entries
        that say such an event is gone are dropped."""

    async def adopt(self, remotes: Sequence[RemoteEvent]) -> Sequence[str]:
        """Events of the calendar become appointments with links, in agreement: once, however often this runs. Answers
        the ids of those that no appointment can hold."""

    async def show(self, seen: Sequence[tuple[Change, Event]]) -> Sequence[str]:
        """Events that are not to become appointments are shown beside them, until they change. Answers the ids of those
        that no appointment could hold: they are not."""

    async def relink(self, remote: RemoteEvent) -> bool:
        """An event of ours whose link does not know it, because it has none yet or because nobody answered when this
        one was made: from now on it does. False: there is no such local event, or it has a later counterpart."""

    async def ignore(self, remote_id: str, etag: str | None) -> None:
        """This entry is none of ours, or cannot be read; until it changes."""

    async def pending(self, limit: int, *, without_deletions: bool) -> Sequence[tuple[UUID, str | None]]:
        """(link, remote id) of what has to be looked at: an open intent, an entry of the list, a local row that moved
        on, or one that has no link yet and gets one. `without_deletions` leaves out what the list says is gone."""

    async def load(self, link_ids: Sequence[UUID]) -> Sequence[Work]:
        """Of those links that there are."""

    async def intend(self, links: Sequence[LinkRow]) -> None:
        """Remember `intent` of each and what is known of the link, before the writes that they announce."""

    async def settle(self, settlements: Sequence[Settlement]) -> Collection[UUID]:
        """Each whole, or nothing of it when its local row has moved on; answers the links of those that were. Their
        `local_version` becomes that of the local row afterwards. Raises `EventRejected` for what a local row cannot
        say, having done nothing."""

    async def quarantine(self, work: Work, reason: str) -> None:
        """Leave the link alone until either side changes. Its last write did not happen."""

    async def put_off(self, link_id: UUID) -> int:
        """Somebody was always quicker; how often in a row by now."""
