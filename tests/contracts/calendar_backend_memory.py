"""The adapter in memory, as a backend of the calendar contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.calendar import Event
from integrations.calendar.memory import MemoryCalendars
from integrations.calendar.memory_server import MemoryServer
from integrations.calendar.protocol import UnknownOutcome
from tests.contracts.calendar_backends import Backend, Can

_WRITES = frozenset({"create", "update", "delete"})


class MemoryBackend:
    """See `Backend`."""

    can = frozenset(Can)

    def __init__(self, provider: MemoryCalendars) -> None:
        self.provider, self.server = provider, provider.server
        self.calendar_id = self.server.add_calendar("Petfolio")

    async def add(self, event: Event) -> str:
        return self.server.add(self.calendar_id, event)

    async def edit(self, remote_id: str, event: Event) -> None:
        self.server.edit(self.calendar_id, remote_id, event)

    async def remove(self, remote_id: str) -> None:
        self.server.bury(self.calendar_id, remote_id)

    async def copy(self, remote_id: str) -> str:
        return self.server.copy(self.calendar_id, remote_id)

    async def drop_calendar(self) -> None:
        self.server.drop_calendar(self.calendar_id)

    async def expire(self) -> None:
        self.server.expire()

    async def lose_answer(self, *, after: bool) -> None:
        self.server.fail(UnknownOutcome("told to fail"), after=after)

    async def throttle(self, retry_after: int) -> None:
        self.server.throttle(retry_after)

    async def revoke(self) -> None:
        self.server.revoked = True

    async def mangle(self) -> None:
        self.server.normalise = lambda text: text.replace("\n", " \r\n") + "  "

    async def writes(self) -> int:
        return sum(call in _WRITES for call in self.server.calls)


@asynccontextmanager
async def open_backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """Lists hold single events whole."""
    yield MemoryBackend(MemoryCalendars(MemoryServer(), page_size=3))


@asynccontextmanager
async def open_shallow_backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """Lists hold ids and etags alone."""
    yield MemoryBackend(MemoryCalendars(MemoryServer(), page_size=3, shallow=True))
