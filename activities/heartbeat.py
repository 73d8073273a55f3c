"""Telling Temporal that this process lives, while it waits for somebody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from temporalio import activity

_EVERY: Final = 3.0
"""Seconds."""


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Heartbeats of the activity for as long as the work inside takes, however slow the other side is: so the timeout
    may be short, and a process that died is noticed soon. Whatever is inside must end by itself; an activity that hangs
    is ended by its `start_to_close_timeout`."""
    beats = asyncio.create_task(_beat())
    try:
        yield
    finally:
        beats.cancel()
        with suppress(asyncio.CancelledError):
            await beats


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_EVERY)
