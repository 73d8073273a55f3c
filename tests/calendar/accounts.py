"""A person whose calendar is an account at a real server: the real rows, the real adapter, a process that may die.

Everything that outlives the process is a step: the commits of the store, and the writes at the provider.
`Account.sync(crash_at=n)` is a process that dies right after its n-th step, as `kill -9` would have it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from domain.calendar import Capabilities, Event
from domain.calendar_projection import project, shows
from integrations.calendar.microsoft_mapping import MICROSOFT
from integrations.calendar.protocol import CalendarError, CalendarProvider, Marker, Page, RemoteEvent, UnknownOutcome
from tests.caldav_servers import Radicale
from tests.calendar.home import CalendarHome
from tests.calendar.memory_store import Crash, Steps
from tests.calendar_servers import ControlClient
from tests.contracts.calendar_backends import Backend, everything

Act = Callable[[], Awaitable[object]]
_T = TypeVar("_T")


@dataclass
class Watched:
    """The adapter as it is. What it writes is a step; right before the next write somebody else may `act` once."""

    real: CalendarProvider
    steps: Steps
    before: Act | None = None
    empty_lists: int = 0
    """The next lists are empty, for servers that cannot be told so."""
    writes: int = 0
    lists: int = 0
    """Pages that were asked for."""
    most: int = 0
    """Events that were held at once."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def list_changes(self, calendar_id: str, cursor: str | None, page: str | None) -> Page:
        self.lists += 1
        found = await self.real.list_changes(calendar_id, cursor, page)
        self.most = max(self.most, len(found.changes))
        if self.empty_lists:
            self.empty_lists -= 1
            return replace(found, changes=())
        return found

    async def get_many(self, calendar_id: str, remote_ids: Sequence[str]) -> Mapping[str, RemoteEvent]:
        self.most = max(self.most, len(remote_ids))
        return await self.real.get_many(calendar_id, remote_ids)

    async def create(self, calendar_id: str, name: UUID, marker: Marker, event: Event) -> RemoteEvent:
        return await self._write(lambda: self.real.create(calendar_id, name, marker, event))

    async def update(self, calendar_id: str, known: RemoteEvent, event: Event, *, marker: bool = True) -> RemoteEvent:
        return await self._write(lambda: self.real.update(calendar_id, known, event, marker=marker))

    async def delete(self, calendar_id: str, known: RemoteEvent) -> None:
        await self._write(lambda: self.real.delete(calendar_id, known))

    async def _write(self, work: Callable[[], Awaitable[_T]]) -> _T:
        if self.before is not None:
            act, self.before = self.before, None
            await act()
        self.writes += 1
        done = await work()
        self.steps.passed()
        return done


@dataclass
class Account:
    """See the module. `backend` is the person's hand in the provider's own pages; `made` counts what people created."""

    home: CalendarHome
    backend: Backend
    watched: Watched
    made: int = 0

    @property
    def side(self) -> Capabilities:
        """What the calendar can hold."""
        return self.backend.provider.capabilities

    @property
    def control(self) -> ControlClient:
        """The knobs of Google's and Graph's server."""
        control: ControlClient = self.backend.control  # type: ignore[attr-defined]
        return control

    @property
    def radicale(self) -> Radicale:
        """Its knobs."""
        server: Radicale = self.backend.server  # type: ignore[attr-defined]
        return server

    @property
    def is_vendor(self) -> bool:
        """Whether the server is one of the local Google and Graph servers."""
        return hasattr(self.backend, "control")

    # The sync.

    async def sync(self, *, crash_at: int | None = None, before: Act | None = None) -> None:
        """One run, by a process of its own, to its end or to its death. Raises what the run raises."""
        steps = self.watched.steps
        steps.count, steps.crash_at, self.watched.before = 0, crash_at, before
        try:
            await self.home.sync()
        except* Crash:
            pass
        finally:
            steps.crash_at = self.watched.before = None

    async def try_to_sync(self, *, crash_at: int | None = None, before: Act | None = None) -> None:
        """As `sync`; what the provider refuses ends the run."""
        with suppress(CalendarError):
            await self.sync(crash_at=crash_at, before=before)

    async def fails_to_sync(self) -> None:
        """The answer of a write is lost, and with it the run."""
        with pytest.raises(UnknownOutcome):
            await self.sync()
        self.mend()

    async def writes(self, work: Awaitable[object]) -> int:
        """How many requests for a change the server got meanwhile. People's own do not count at Google and Graph."""
        before = await self._writes()
        await work
        return await self._writes() - before

    async def _writes(self) -> int:
        """Of a server without a log the calls of the adapter count."""
        has_log = self.is_vendor or getattr(self.backend, "server", None) is not None
        return await self.backend.writes() if has_log else self.watched.writes

    # What people do there.

    async def remote_create(self, event: Event) -> str:
        self.made += 1
        return await self.backend.add(project(event, self.side))

    async def remote_edit(self, remote_id: str, **fields: Any) -> None:
        known = await self.backend.provider.get(self.home.calendar_id, remote_id)
        assert known is not None
        await self.backend.edit(remote_id, project(replace(known.event, **fields), self.side))

    async def remote_delete(self, remote_id: str) -> None:
        await self.backend.remove(remote_id)

    async def remote_copy(self, remote_id: str) -> str:
        self.made += 1
        return await self.backend.copy(remote_id)

    # What people do here.

    async def create(self, event: Event) -> UUID:
        self.made += 1
        return await self.home.create(event)

    # What there is.

    async def there(self) -> Mapping[str, Event]:
        """The events of the calendar."""
        return {remote_id: seen.event for remote_id, seen in (await everything(self.backend)).items()}

    async def here(self) -> Mapping[UUID, Event]:
        """The appointments."""
        return await self.home.here()

    async def only(self) -> str:
        """The id of the only event there."""
        (remote_id,) = await self.there()
        return remote_id

    async def event_there(self) -> Event:
        """The only event there."""
        (event,) = (await self.there()).values()
        return event

    async def event_here(self) -> Event:
        """The only appointment."""
        (event,) = (await self.here()).values()
        return event

    async def conflicts(self) -> list[tuple[str, str]]:
        """(field, winner) of all."""
        query = "SELECT field, winner FROM calendar_conflicts WHERE calendar_link_id = :link ORDER BY id"
        return [tuple(row) for row in await self.home.home.rows(query, link=self.home.link_id)]

    async def check(self) -> None:
        """INV1, INV2 and INV4, once everything has come to rest."""
        here, there = await self.here(), await self.there()
        shown = [project(event, self.side) for event in here.values() if shows(event, self.side)]
        assert sorted(map(repr, shown)) == sorted(map(repr, there.values()))
        assert len(there) <= self.made
        rows = await self.home.links("remote_id")
        assert sorted(row.remote_id for row in rows if row.remote_id is not None) == sorted(there)

    async def comes_to_rest(self) -> None:
        """Two clean runs later both sides have the same, and two more write nothing (INV1-INV4)."""
        for _ in range(2):
            await self.sync()
        await self.check()
        assert await self.writes(self.sync()) == 0
        assert await self.writes(self.sync()) == 0

    # What goes wrong.

    @property
    def path(self) -> str:
        """Of the calendar, at a CalDAV server."""
        return urlsplit(self.home.calendar_id).path

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        if self.is_vendor:
            self.control.clear_rules()
        else:
            self.radicale.knob("reset")

    def turn_pages_of(self, size: int) -> None:
        """How long a page of a vendor's list is from now on."""
        adapter = self.backend.provider
        if self.home.provider.capabilities is MICROSOFT:
            adapter._delta._prefer = f"odata.maxpagesize={size}"  # type: ignore[attr-defined]
        else:
            adapter._page_size = size  # type: ignore[attr-defined]

    def list_nothing(self) -> None:
        """The next list is empty, though the calendar is not."""
        if self.is_vendor:
            self.control.shape("empty_list", calendar=self.home.calendar_id)
        else:
            self.watched.empty_lists = 1

    def refuse_changes(self, remote_id: str, status: int) -> None:
        """Every change of this event is answered so."""
        if self.is_vendor:
            self.control.fault(method="PATCH", path=remote_id, status=status, times=None)
        else:
            path = f"{self.path}{remote_id}"
            self.radicale.knob("faults", method="PUT", path=path, status=status, times=1_000)

    def break_write(self, *, when: str, effect: str = "status", method: str | None = None) -> None:
        """The next write: an error, a broken connection or silence, before it was done or after it was stored."""
        if not self.is_vendor:
            self.radicale.knob("faults", when=when, effect=effect, seconds=0.3, path=self.path, method=method or "PUT")
            return
        twice = effect != "status"  # httplib2 sends again what was not answered
        times = 2 if twice and self.control.provider == "google" else 1
        self.control.fault(
            method=method or "POST|PATCH", path="/events", when=when, effect=effect, seconds=0.3, times=times
        )
