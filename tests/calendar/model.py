"""A small world for the property tests: a person's events here, a calendar there, and a sync that may die anywhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from activities.calendar_engine import Doubt, Engine
from domain.calendar import Capabilities, Event, Status, When
from domain.calendar_projection import project, shows
from domain.calendar_sync import NAMES, Policy
from integrations.calendar.memory import MemoryCalendars
from integrations.calendar.memory_server import MemoryServer
from integrations.calendar.protocol import CalendarError, Marker, RemoteEvent
from tests.calendar.memory_store import Crash, MemoryStore, Steps

LINK = UUID(int=7)
NOW = datetime(2026, 11, 1, 12)  # noqa: DTZ001 - on the person's clock
NARROW = Capabilities(alarms=1, title_length=6, statuses=frozenset({Status.CONFIRMED}))
"""A calendar that holds less than we do, as Outlook."""


class Provider(MemoryCalendars):
    """Each of its writes outlives the process that asked for it."""

    steps: Steps

    async def create(self, calendar_id: str, name: UUID, marker: Marker, event: Event) -> RemoteEvent:
        made = await super().create(calendar_id, name, marker, event)
        self.steps.passed()
        return made

    async def update(self, calendar_id: str, known: RemoteEvent, event: Event, *, marker: bool = True) -> RemoteEvent:
        made = await super().update(calendar_id, known, event, marker=marker)
        self.steps.passed()
        return made

    async def delete(self, calendar_id: str, known: RemoteEvent) -> None:
        await super().delete(calendar_id, known)
        self.steps.passed()


def an_event(title: str = "Vet", **fields: Any) -> Event:
    """Tomorrow at nine, for an hour."""
    start = NOW.replace(hour=9) + timedelta(days=1)
    return replace(Event(title, When(start, start + timedelta(hours=1), "Europe/Berlin")), **fields)


@dataclass
class World:
    """`made` counts what people created on either side."""

    side: Capabilities = field(default_factory=Capabilities)
    policy: Policy = field(default_factory=Policy)
    shallow: bool = False
    page_size: int = 3
    made: int = 0
    clock: int = 0

    def __post_init__(self) -> None:
        self.server = MemoryServer(clock=lambda: datetime.fromtimestamp(self.tick(), UTC))
        self.provider = Provider(self.server, capabilities=self.side, page_size=self.page_size, shallow=self.shallow)
        self.steps = self.provider.steps = Steps()
        self.calendar_id = self.server.add_calendar("Petfolio")
        self.store = MemoryStore(LINK, self.steps, self.tick)

    def tick(self) -> int:
        """Time passes whenever somebody looks."""
        self.clock += 1
        return self.clock

    # What people do here.

    def create(self, event: Event) -> UUID:
        self.made += 1
        local_id = uuid5(NAMES, f"made|{self.made}")
        self.store.put(local_id, event)
        return local_id

    def edit(self, local_id: UUID, **fields: Any) -> None:
        event = self.store.rows[local_id].event
        assert event is not None
        self.store.put(local_id, replace(event, **fields))

    def delete(self, local_id: UUID) -> None:
        self.store.put(local_id, None)

    # What people do there.

    def remote_create(self, event: Event) -> str:
        self.made += 1
        return self.server.add(self.calendar_id, project(event, self.side))

    def remote_edit(self, remote_id: str, **fields: Any) -> None:
        event = self.server.events(self.calendar_id)[remote_id]
        self.server.edit(self.calendar_id, remote_id, project(replace(event, **fields), self.side))

    def remote_delete(self, remote_id: str) -> None:
        self.server.bury(self.calendar_id, remote_id)

    def remote_copy(self, remote_id: str) -> str:
        self.made += 1
        return self.server.copy(self.calendar_id, remote_id)

    # What there is.

    @property
    def here(self) -> Mapping[UUID, Event]:
        return self.store.live()

    @property
    def there(self) -> Mapping[str, Event]:
        return self.server.events(self.calendar_id)

    async def sync(self, *, crash_at: int | None = None, race: Callable[[], object] | None = None) -> None:
        """One run, to its end, to its error, or to the death of the process."""
        self.steps.count, self.steps.crash_at = 0, crash_at
        if race is not None:
            self.server.race(race)
        engine = Engine(self.store, self.provider, self.calendar_id, LINK, self.policy, NOW, confirmed=True)
        try:
            await engine.pull()
            for _ in range(50):
                if not await engine.work(Doubt.NONE):
                    break
        except (Crash, CalendarError):
            pass
        finally:
            self.steps.crash_at = None
            self.server._race = None

    def check(self) -> None:
        """INV1, INV2 and INV4, once everything has come to rest."""
        shown = [project(event, self.side) for event in self.here.values() if shows(event, self.side)]
        assert sorted(map(repr, shown)) == sorted(map(repr, self.there.values()))
        assert len(self.there) <= self.made
        live = [link.remote_id for link in self.store.links.values() if link.remote_id is not None]
        assert sorted(live) == sorted(self.there)
