"""The calendar servers that the contract of `CalendarProvider` is asked of, one line each.

A new adapter is one module with a `Backend` and one line in `BACKENDS`: no test changes.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from importlib import import_module
from typing import Protocol

import pytest

from domain.calendar import Event
from integrations.calendar.protocol import CalendarProvider, Change, RemoteEvent

MAX_PAGES = 500


class Can(StrEnum):
    """What a server does, or can be made to do. A test that needs more than a backend has is skipped for it."""

    KEEP_TOMBSTONES = "a deleted id stays taken"
    COPY_MARKERS = "a person's copy carries what we left on the event"
    EXPIRE = "cursors expire on demand"
    FAIL = "answers get lost on demand"
    THROTTLE = "calls are too many on demand"
    REVOKE = "credentials are refused on demand"
    MANGLE = "texts come back in another form on demand"
    PAGE = "lists come in pages of three"
    LIST_ETAGS = "lists tell etags"
    ALARMS = "more than one alarm"
    LIST_CHANGES = "a list can be of what changed"


class Backend(Protocol):
    """One server with one account and one empty calendar. Methods that are no part of `can` are not called."""

    provider: CalendarProvider
    calendar_id: str
    can: frozenset[Can]

    async def add(self, event: Event) -> str:
        """A person makes an event in the provider's own pages; answers its id."""

    async def edit(self, remote_id: str, event: Event) -> None:
        """A person makes this of an event."""

    async def remove(self, remote_id: str) -> None:
        """A person deletes an event."""

    async def copy(self, remote_id: str) -> str:
        """A person copies an event; answers the id of the copy."""

    async def drop_calendar(self) -> None:
        """A person deletes the calendar."""

    async def expire(self) -> None:
        """Every cursor given so far is unknown from now on."""

    async def lose_answer(self, *, after: bool) -> None:
        """The next write gets a 500: before anything happened, or after it did."""

    async def throttle(self, retry_after: int) -> None:
        """The next call is one too many."""

    async def revoke(self) -> None:
        """The credentials are refused from now on."""

    async def mangle(self) -> None:
        """From now on texts come back with CRLF and trailing blanks."""

    async def writes(self) -> int:
        """How many calls so far asked for a change of an event."""


Opener = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Backend]]

BACKENDS = {
    "google": "tests.contracts.calendar_backend_google:open_backend",
    "microsoft": "tests.contracts.calendar_backend_microsoft:open_backend",
    "microsoft-window": "tests.contracts.calendar_backend_microsoft:open_window_backend",
    "memory": "tests.contracts.calendar_backend_memory:open_backend",
    "memory-shallow": "tests.contracts.calendar_backend_memory:open_shallow_backend",
    "radicale": "tests.contracts.calendar_backend_caldav:open_radicale",
    "radicale-with-ctag": "tests.contracts.calendar_backend_caldav:open_radicale_with_ctag",
    "radicale-plain": "tests.contracts.calendar_backend_caldav:open_plain_radicale",
    "xandikos": "tests.contracts.calendar_backend_caldav:open_xandikos",
}
"""Where each is opened. A module is imported when its tests run: vendors' packages are not cheap."""


def opener(name: str) -> Opener:
    """What opens this backend."""
    module, _, function = BACKENDS[name].partition(":")
    found: Opener = getattr(import_module(module), function)
    return found


async def listed(backend: Backend, cursor: str | None = None) -> tuple[dict[str, Change], str]:
    """A whole round: what it says of each id, and the cursor at its end."""
    said: dict[str, Change] = {}
    page = None
    for _ in range(MAX_PAGES):
        answer = await backend.provider.list_changes(backend.calendar_id, cursor, page)
        said |= {change.remote_id: change for change in answer.changes}
        assert (answer.next_page is None) != (answer.cursor is None)
        if answer.cursor is not None:
            return said, answer.cursor
        page = answer.next_page
    raise AssertionError("a list without end")


async def everything(backend: Backend) -> dict[str, RemoteEvent]:
    """All events of the calendar, as a full list and the fetches after it show them."""
    said, _ = await listed(backend)
    held = {change.remote_id: change.found for change in said.values() if change.found}
    rest = [remote_id for remote_id, change in said.items() if not change.found and not change.removed]
    return held | dict(await backend.provider.get_many(backend.calendar_id, rest))


async def seen(backend: Backend, remote_id: str) -> RemoteEvent:
    """The event, which is there."""
    found = await backend.provider.get(backend.calendar_id, remote_id)
    assert found is not None
    return found
