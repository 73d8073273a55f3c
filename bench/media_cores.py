"""The media worker on a core of its own: as in production, where its machines are its own."""

import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Final

from bench.platform import Platform
from bench.processes import DRIVER_CORE, SERVER_CORE, pinned

WORKER: Final = "worker-media"


@asynccontextmanager
async def worker_apart(on: Platform) -> AsyncIterator[None]:
    """It has one core meanwhile; the rest of the platform and this process have the other."""
    services = (await on.stack.status())["services"]
    others = [each["pid"] for name, each in services.items() if each["pid"] and name != WORKER]
    with ExitStack() as stack:
        stack.enter_context(pinned([services[WORKER]["pid"]], SERVER_CORE))
        stack.enter_context(pinned([*others, os.getpid()], DRIVER_CORE))
        yield
