"""Accounts at the real servers, and one in memory, each with a new person."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from core.crypto import FieldCipher
from core.db import Database
from integrations.calendar.memory import MemoryCalendars
from integrations.calendar.memory_server import MemoryServer
from integrations.keys.store import KeyStore
from tests.activities.reminder_home import Home
from tests.calendar.accounts import Account, Watched
from tests.calendar.home import CalendarHome, connect
from tests.calendar.memory_store import Steps
from tests.contracts.calendar_backends import opener

ACCOUNTS = ("google", "microsoft", "radicale")
OpenAccount = Callable[..., AbstractAsyncContextManager[Account]]


@pytest.fixture
def open_account(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    db: Database,
    keys: KeyStore,
    cipher: FieldCipher,
) -> OpenAccount:
    """Opens an account at the backend of this name, of a new person or of this one."""
    steps = Steps()
    monkeypatch.setattr("activities.calendar_postgres.failpoint", lambda _: steps.passed())

    @asynccontextmanager
    async def opened(name: str, home: Home | None = None) -> AsyncIterator[Account]:
        async with opener(name)(request) as backend:
            watched = Watched(backend.provider, steps)
            row = name if name in ("google", "microsoft") else "caldav"
            connected = await connect(db, keys, cipher, watched, backend.calendar_id, name=row, home=home)
            account = Account(connected, backend, watched)
            if account.is_vendor:
                account.control.clear_log()
            yield account

    return opened


@pytest.fixture(params=ACCOUNTS)
async def account(request: pytest.FixtureRequest, open_account: OpenAccount) -> AsyncIterator[Account]:
    """An account with an empty calendar. A test of one provider alone names it with `indirect`."""
    async with open_account(request.param) as opened:
        yield opened


@pytest.fixture
def server() -> MemoryServer:
    """The account in memory."""
    return MemoryServer()


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher, server: MemoryServer) -> CalendarHome:
    """Its person, with an empty calendar whose lists come in pages of three."""
    return await connect(db, keys, cipher, MemoryCalendars(server, page_size=3), server.add_calendar("Petfolio"))
