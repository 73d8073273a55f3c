"""The provider's side of `memory.py`: what it holds, what people do there, and how it fails on demand."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from domain.calendar import Event
from domain.calendar_form import canonical
from domain.calendar_json import from_json, to_json
from integrations.calendar.protocol import (
    CalendarMissing,
    Channel,
    Marker,
    Misunderstood,
    NeedsReauth,
    RateLimited,
    RemoteEvent,
)

_PREFIX: Final = "petfolio-"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as the server has it; without `event` a tombstone, which keeps the id. `seq` is its last change."""

    remote_id: str
    seq: int
    updated_at: datetime
    event: Event | None
    marker: Marker | None

    @property
    def etag(self) -> str:
        """Another one after every change."""
        return f'"{self.seq}"'

    def seen(self) -> RemoteEvent:
        """As the adapter shows it. Only where there is an event."""
        return read(json.dumps(self._document()))

    def _document(self) -> dict[str, Any]:
        if self.event is None:
            raise ValueError("a tombstone shows nothing")
        marker = self.marker and [str(self.marker.local_id), self.marker.part, self.marker.generation]
        return {
            "id": self.remote_id,
            "seq": self.seq,
            "updated_at": self.updated_at.isoformat(),
            "marker": marker,
            "event": to_json(self.event),
        }


def read(raw: str) -> RemoteEvent:
    """The event of a document. Raises `Misunderstood`."""
    try:
        document = json.loads(raw)
        marked, seq = document["marker"], int(document["seq"])
        marker = Marker(UUID(marked[0]), marked[1], marked[2]) if marked else None
        event = canonical(from_json(document["event"]))
        remote_id, updated_at = str(document["id"]), datetime.fromisoformat(document["updated_at"])
    except (ValueError, LookupError, TypeError) as error:
        raise Misunderstood("not an event") from error
    return RemoteEvent(remote_id, f'"{seq}"', event, updated_at, marker, _ident(remote_id), raw)


def _ident(remote_id: str) -> UUID | None:
    try:
        return UUID(remote_id.removeprefix(_PREFIX)) if remote_id.startswith(_PREFIX) else None
    except ValueError:
        return None


@dataclass(slots=True)
class _Fault:
    error: BaseException
    left: int
    after: bool
    method: str | None


@dataclass(slots=True)
class MemoryServer:
    """One account. `seq` counts its changes. What is public may be set at any time.

    `clock` is its time, by the number of the change unless one is given; `normalise` is what the server does to texts
    that it is given; `restless`: every look at an event changes its etag; `revoked`: the credentials are refused;
    `calls` are those that came, `writes` counts those of them that asked for a change.
    """

    seq: int = 0
    floor: int = 0
    clock: Callable[[], datetime] | None = None
    normalise: Callable[[str], str] = str
    restless: bool = False
    revoked: bool = False
    calls: list[str] = field(default_factory=list)
    writes: int = 0
    titles: dict[str, str] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    _calendars: dict[str, dict[str, Stored]] = field(default_factory=dict)
    _faults: list[_Fault] = field(default_factory=list)
    _race: Callable[[], object] | None = None
    _empty_lists: int = 0

    def now(self) -> datetime:
        """What `updated_at` says of a change made now."""
        return self.clock() if self.clock else datetime.fromtimestamp(self.seq, UTC)

    def add_calendar(self, title: str) -> str:
        """A new calendar; answers its id."""
        self.seq += 1
        calendar_id = f"calendar-{len(self._calendars) + 1}"
        self._calendars[calendar_id], self.titles[calendar_id] = {}, title
        return calendar_id

    def drop_calendar(self, calendar_id: str) -> None:
        """It is gone with everything in it, if it was there. Its id is not given again."""
        self.titles.pop(calendar_id, None)

    def events(self, calendar_id: str) -> dict[str, Event]:
        """What a person sees there, by id."""
        return {s.remote_id: s.event for s in self.stored(calendar_id).values() if s.event}

    def add(self, calendar_id: str, event: Event) -> str:
        """A person makes an event; answers its id."""
        return self.store(calendar_id, f"theirs-{self.seq + 1}", event, None).remote_id

    def edit(self, calendar_id: str, remote_id: str, event: Event) -> None:
        """A person changes an event. What we left on it stays."""
        self.store(calendar_id, remote_id, event, self.stored(calendar_id)[remote_id].marker)

    def copy(self, calendar_id: str, remote_id: str) -> str:
        """A person copies an event, with what we left on it; answers the id of the copy."""
        original = self.stored(calendar_id)[remote_id]
        if original.event is None:
            raise ValueError("only an event can be copied")
        return self.store(calendar_id, f"theirs-{self.seq + 1}", original.event, original.marker).remote_id

    def bury(self, calendar_id: str, remote_id: str) -> None:
        """The event is deleted. Its id stays taken."""
        self.seq += 1
        stored = self.stored(calendar_id)
        stored[remote_id] = replace(stored[remote_id], seq=self.seq, updated_at=self.now(), event=None)

    def expire(self) -> None:
        """Every cursor and every page given so far is unknown from now on."""
        self.seq += 1
        self.floor = self.seq

    def fail(self, error: BaseException, *, nth: int = 1, after: bool = False, method: str | None = None) -> None:
        """The n-th call from now (of this method) ends with `error`: before anything happened, or `after` it did."""
        self._faults.append(_Fault(error, nth, after, method))

    def throttle(self, retry_after: int | None, *, times: int = 1) -> None:
        """The next calls are too many."""
        for nth in range(1, times + 1):
            self.fail(RateLimited("too many calls", retry_after=retry_after), nth=nth)

    def race(self, edit: Callable[[], object]) -> None:
        """A person is quicker: this happens right before the next write to a calendar."""
        self._race = edit

    def list_nothing(self, *, times: int = 1) -> None:
        """The next lists are empty, though the calendar is not."""
        self._empty_lists += times

    def call(self, name: str, work: Callable[[], _T], *, write: bool = False) -> _T:
        """One call, with what has to go wrong in it."""
        self.calls.append(name)
        self.writes += write
        if self.revoked:
            raise NeedsReauth("the credentials are refused")
        fault = self._due(name)
        if fault and not fault.after:
            raise fault.error
        result = work()
        if fault:
            raise fault.error
        return result

    def race_before(self, name: str, calendar_id: str | None) -> None:
        """Let a person be quicker than this write."""
        if self._race and calendar_id is not None:
            edit, self._race = self._race, None
            edit()

    def takes_empty_list(self) -> bool:
        """Whether this list is to be empty."""
        self._empty_lists -= (empty := self._empty_lists > 0)
        return empty

    def stored(self, calendar_id: str) -> dict[str, Stored]:
        """Everything of a calendar, tombstones too. Raises `CalendarMissing`."""
        if calendar_id not in self.titles:
            raise CalendarMissing("the calendar is gone")
        return self._calendars[calendar_id]

    def look_at(self, calendar_id: str, remote_id: str) -> Stored | None:
        """What is there under this id."""
        stored = self.stored(calendar_id)
        if self.restless and remote_id in stored:
            self.seq += 1
            stored[remote_id] = replace(stored[remote_id], seq=self.seq)
        return stored.get(remote_id)

    def store(self, calendar_id: str, remote_id: str, event: Event, marker: Marker | None) -> Stored:
        """The event is there from now on, as the server likes to write it."""
        self.seq += 1
        title, notes, location = map(self.normalise, (event.title, event.notes, event.location))
        held = replace(event, title=title, notes=notes, location=location)
        self.stored(calendar_id)[remote_id] = stored = Stored(remote_id, self.seq, self.now(), held, marker)
        return stored

    def _due(self, name: str) -> _Fault | None:
        due = None
        for fault in [each for each in self._faults if each.method in (None, name)]:
            fault.left -= 1
            if fault.left == 0:
                self._faults.remove(fault)
                due = due or fault
        return due
