"""How a worker process lives and leaves: one signal drains it, a second one ends it at once.

Processes with the Temporal SDK leave through `leave`, because the interpreter's own exit can crash while the SDK's
threads still run ("PyGILState_Release", temporal.md §7).
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from core.logging import logger

log = logger(__name__)

_T = TypeVar("_T")


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets. Needs the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(name: str) -> None:
        if stop.is_set():
            log.warning("stopped_without_drain", signal=name)
            leave(1)
        log.info("draining", signal=name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number.name)
    return stop


async def unless_stopped(work: Coroutine[Any, Any, _T], stop: asyncio.Event) -> _T | None:
    """The result of `work`, or None when `stop` came first; then `work` is cancelled. Raises what `work` raises."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return task.result()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return None


async def first_to_end(tasks: Iterable[asyncio.Task[None]], stop: asyncio.Event) -> bool:
    """Wait for `stop` or for a task that should not have ended. True: it was `stop`. Logs the other one's error."""
    stopped = asyncio.create_task(stop.wait(), name="stop")
    done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for task in done - {stopped}:
        log.error("task_ended", task=task.get_name(), exc_info=task.exception() or True)
    return stopped in done


def leave(code: int) -> NoReturn:
    """End the process now, with its output written."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
