"""Heartbeats while somebody else is slow."""

import asyncio

import pytest
from temporalio.testing import ActivityEnvironment

from activities import heartbeat
from activities.heartbeat import beating


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[object]:
    monkeypatch.setattr(heartbeat, "_EVERY", 0.001)
    return asyncio.Queue()


async def test_it_beats_while_the_other_side_is_slow_and_not_afterwards(beats: asyncio.Queue[object]) -> None:
    async def waits() -> None:
        async with beating():
            for _ in range(3):
                await beats.get()

    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *_: beats.put_nowait(None)
    async with asyncio.timeout(5):
        await environment.run(waits)
    assert len(asyncio.all_tasks()) == 1


async def test_what_goes_wrong_inside_is_what_comes_out(beats: asyncio.Queue[object]) -> None:
    async def fails() -> None:
        async with beating():
            raise LookupError

    with pytest.raises(LookupError):
        await ActivityEnvironment().run(fails)
    assert len(asyncio.all_tasks()) == 1
