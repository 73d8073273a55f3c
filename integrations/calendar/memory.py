"""A calendar account in memory, behind the same port as the real ones, and everything that can go wrong with one.

`MemoryServer` is the provider's side: what people do in its own pages, and how it fails. `MemoryCalendars` is the
adapter. Nothing here waits, and nothing depends on a clock or on chance, so a run can be repeated call by call.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from domain.calendar import Capabilities, Event
from domain.calendar_projection import project
from integrations.calendar.memory_server import MemoryServer, Stored
from integrations.calendar.memory_server import read as read_raw
from integrations.calendar.protocol import (
    AlreadyExists,
    CalendarError,
    Change,
    Channel,
    CursorExpired,
    EtagMismatch,
    EventGone,
    Marker,
    Page,
    RemoteCalendar,
    RemoteEvent,
)

_PREFIX: Final = "petfolio-"
_LASTS: Final = timedelta(days=7)
_T = TypeVar("_T")


class MemoryCalendars:
    """The adapter. A list holds single events whole and series by their id, as Google's does; with `shallow` ids and
    etags alone, as CalDAV's."""

    def __init__(
        self,
        server: MemoryServer | None = None,
        *,
        capabilities: Capabilities | None = None,
        page_size: int = 100,
        shallow: bool = False,
    ) -> None:
        self.server = server or MemoryServer()
        self.capabilities = capabilities or Capabilities()
        self._page_size, self._shallow = page_size, shallow

    async def calendars(self) -> Sequence[RemoteCalendar]:
        """See the port."""
        return self._read("calendars", lambda: [RemoteCalendar(*entry) for entry in self.server.titles.items()])

    async def create_calendar(self, title: str) -> RemoteCalendar:
        """See the port."""
        return self._write(
            "create_calendar", lambda: RemoteCalendar(self.server.add_calendar(title), title), calendar_id=None
        )

    async def delete_calendar(self, calendar_id: str) -> None:
        """See the port."""
        self._write("delete_calendar", lambda: self.server.drop_calendar(calendar_id), calendar_id=None)

    async def list_changes(self, calendar_id: str, cursor: str | None, page: str | None) -> Page:
        """See the port. A round ends where the calendar was when it began."""
        return self._read("list_changes", partial(self._list, calendar_id, cursor, page))

    async def get(self, calendar_id: str, remote_id: str) -> RemoteEvent | None:
        """See the port."""
        return self._read("get", partial(self._alive, calendar_id, remote_id))

    async def get_many(self, calendar_id: str, remote_ids: Sequence[str]) -> Mapping[str, RemoteEvent]:
        """See the port."""
        found = self._read("get_many", lambda: [self._alive(calendar_id, each) for each in remote_ids])
        return {each.remote_id: each for each in found if each}

    def read(self, raw: str) -> RemoteEvent:
        """See the port."""
        return read_raw(raw)

    def remote_id_of(self, calendar_id: str, name: UUID) -> str | None:
        """See the port."""
        return f"{_PREFIX}{name}"

    async def find(self, calendar_id: str, name: UUID) -> RemoteEvent | None:
        """See the port."""
        return self._read("find", partial(self._alive, calendar_id, f"{_PREFIX}{name}"))

    async def create(self, calendar_id: str, name: UUID, marker: Marker, event: Event) -> RemoteEvent:
        """See the port."""
        remote_id = f"{_PREFIX}{name}"

        def work() -> RemoteEvent:
            if remote_id in self.server.stored(calendar_id):
                raise AlreadyExists("the id is taken")
            return self.server.store(calendar_id, remote_id, project(event, self.capabilities), marker).seen()

        return self._write("create", work, calendar_id)

    async def update(self, calendar_id: str, known: RemoteEvent, event: Event, *, marker: bool = True) -> RemoteEvent:
        """See the port."""

        def work() -> RemoteEvent:
            stored = self._conditional(calendar_id, known)
            kept = stored.marker if marker else None
            return self.server.store(calendar_id, known.remote_id, project(event, self.capabilities), kept).seen()

        return self._write("update", work, calendar_id)

    async def delete(self, calendar_id: str, known: RemoteEvent) -> None:
        """See the port."""

        def work() -> None:
            try:
                self._conditional(calendar_id, known)
            except EventGone:
                return
            self.server.bury(calendar_id, known.remote_id)

        self._write("delete", work, calendar_id)

    async def watch(self, calendar_id: str, address: str, channel_id: str, secret: str) -> Channel:
        """See the port. The channel lasts a week of the server's own time."""
        return self._write("watch", partial(self._open, calendar_id, channel_id, secret), calendar_id)

    async def renew(self, calendar_id: str, channel: Channel, address: str, channel_id: str, secret: str) -> Channel:
        """See the port: a new one beside it."""
        return await self.watch(calendar_id, address, channel_id, secret)

    async def unwatch(self, channel: Channel) -> None:
        """See the port."""
        self._write("unwatch", lambda: self.server.channels.pop(channel.channel_id, None), calendar_id=None)

    async def close(self) -> None:
        """See the port."""

    def _read(self, name: str, work: Callable[[], _T]) -> _T:
        return self.server.call(name, work)

    def _write(self, name: str, work: Callable[[], _T], calendar_id: str | None) -> _T:
        self.server.race_before(name, calendar_id)
        return self.server.call(name, work, write=True)

    def _alive(self, calendar_id: str, remote_id: str) -> RemoteEvent | None:
        stored = self.server.look_at(calendar_id, remote_id)
        return stored.seen() if stored and stored.event else None

    def _conditional(self, calendar_id: str, known: RemoteEvent) -> Stored:
        stored = self.server.stored(calendar_id).get(known.remote_id)
        if stored is None or stored.event is None:
            raise EventGone("the event is gone")
        if stored.etag != known.etag:
            raise EtagMismatch("the event has changed")
        return stored

    def _list(self, calendar_id: str, cursor: str | None, page: str | None) -> Page:
        stored = self.server.stored(calendar_id).values()
        since, after, until = self._round(calendar_id, cursor, page)
        if self.server.takes_empty_list():
            return Page([], cursor=f"{calendar_id} {until}")
        alive = since == 0  # a full list has no tombstones
        left = sorted((s for s in stored if after < s.seq <= until and (s.event or not alive)), key=lambda s: s.seq)
        changes = [self._change(each) for each in left[: self._page_size]]
        if len(left) > self._page_size:
            return Page(changes, next_page=f"{calendar_id} {since} {left[self._page_size - 1].seq} {until}")
        return Page(changes, cursor=f"{calendar_id} {until}")

    def _round(self, calendar_id: str, cursor: str | None, page: str | None) -> tuple[int, int, int]:
        """From where the round is, how far it has come, and where it ends."""
        if cursor is None and page is None:
            return 0, 0, self.server.seq
        owner, *numbers = (page or cursor or "").split() or [""]
        if owner != calendar_id or len(numbers) != (3 if page else 1) or not all(map(str.isdecimal, numbers)):
            raise CursorExpired("this is no cursor")
        given = int(numbers[-1])
        if given < self.server.floor:
            raise CursorExpired("the cursor is not known any more")
        return (int(numbers[0]), int(numbers[1]), given) if page else (given, given, self.server.seq)

    def _change(self, stored: Stored) -> Change:
        if stored.event is None:
            return Change(stored.remote_id, removed=True)
        whole = not self._shallow and stored.event.when.rrule is None
        return Change(stored.remote_id, stored.seen() if whole else None, stored.etag)

    def _open(self, calendar_id: str, channel_id: str, secret: str) -> Channel:
        if not self.capabilities.push:
            raise CalendarError("nobody is told of changes here")
        expires_at = self.server.now() + _LASTS
        channel = Channel(channel_id, calendar_id, expires_at, secret)
        self.server.channels[channel_id] = channel
        return channel
