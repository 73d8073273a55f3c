"""One stack for the fault experiments of a run; each test breaks it and leaves it whole."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.faults.ledger import Ledger
from tests.person import Person, sign_up
from tests.stack import Inbox, Stack, running_stack


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    async with running_stack("faults") as stack:
        yield stack


@pytest.fixture(scope="session")
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=(await stack.status())["api_url"], timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
async def inbox(stack: Stack) -> AsyncIterator[Inbox]:
    async with httpx.AsyncClient(base_url=(await stack.status())["inbox_url"], timeout=20) as client:
        yield Inbox(client)


@pytest.fixture
async def person(client: httpx.AsyncClient, inbox: Inbox) -> Person:
    return await sign_up(client, inbox)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")
