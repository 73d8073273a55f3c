"""One stack for the end-to-end tests of a run."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.stack import Inbox, Stack, running_stack


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    async with running_stack("e2e") as stack:
        yield stack


@pytest.fixture(scope="session")
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=(await stack.status())["api_url"], timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
async def inbox(stack: Stack) -> AsyncIterator[Inbox]:
    async with httpx.AsyncClient(base_url=(await stack.status())["inbox_url"], timeout=20) as client:
        yield Inbox(client)
