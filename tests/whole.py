"""One whole stack for a run: end-to-end tests look at it, fault experiments break it and leave it whole."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.stack import Inbox, Stack, running_stack


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """Everything `petfolio up` starts, on free ports."""
    async with running_stack("whole") as stack:
        yield stack


@pytest.fixture(scope="session")
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Its api."""
    async with httpx.AsyncClient(base_url=(await stack.status())["api_url"], timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
async def inbox(stack: Stack) -> AsyncIterator[Inbox]:
    """Its mailbox."""
    async with httpx.AsyncClient(base_url=(await stack.status())["inbox_url"], timeout=20) as client:
        yield Inbox(client)
