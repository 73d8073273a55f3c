"""Blocking work on files, beside the event loop: it heartbeats, tells how far it is, and ends when it is cancelled."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

from temporalio import activity

T = TypeVar("T")

_TICK: Final = 0.5
_BEAT: Final = 3.0
_STOP_SECONDS: Final = 20.0
_OLD_SECONDS: Final = 24 * 3600


class Stopped(Exception):
    """The work is not wanted any more; raised inside it."""


class Meter:
    """How far blocking work is. Its threads tell; the event loop looks."""

    def __init__(self) -> None:
        self.done = 0.0
        self._stopped = False

    def heard(self, share: float) -> None:
        """A callback of the work, from any thread: so much of it is done. Raises `Stopped`."""
        if self._stopped:
            raise Stopped
        self.done = share

    def heard_percent(self, percent: int) -> None:
        """As `heard`, in percent."""
        self.heard(percent / 100)

    async def run(self, work: Callable[[], T]) -> T:
        """The work in a thread. A cancellation reaches it at its next callback, and is waited for."""
        thread = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            self._stopped = True
            with suppress(BaseException):
                await asyncio.wait_for(asyncio.shield(thread), _STOP_SECONDS)
            raise


@asynccontextmanager
async def metered(tell: Callable[[float], Awaitable[None]] | None = None) -> AsyncIterator[Meter]:
    """A meter whose activity heartbeats; `tell` hears of each tenth that is done."""
    meter = Meter()
    ticks = asyncio.create_task(_tick(meter, tell))
    try:
        yield meter
    finally:
        ticks.cancel()
        with suppress(asyncio.CancelledError):
            await ticks


async def _tick(meter: Meter, tell: Callable[[float], Awaitable[None]] | None) -> None:
    told, beaten = 0.0, time.monotonic()  # that the work began is a sign of life by itself
    while True:
        if time.monotonic() - beaten >= _BEAT:
            activity.heartbeat()
            beaten = time.monotonic()
        if tell is not None and meter.done - told >= 0.1:
            told = meter.done
            with suppress(Exception):  # a hint for screens: the work does not fail for it
                await tell(told)
        await asyncio.sleep(_TICK)


class Scratch:
    """A folder for the files of contents that are being worked on. A process that died leaves its own behind, which
    another one removes a day later."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, asset_id: UUID) -> Path:
        """The folder of a content. Its file is kept from one step to the next, and continued after a break."""
        folder = self._root / str(asset_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def output(self, asset_id: UUID) -> Iterator[Path]:
        """A folder for what one attempt makes, gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="made-", dir=self.of(asset_id), ignore_cleanup_errors=True) as made:
            yield Path(made)

    def drop(self, asset_id: UUID) -> None:
        """Forget a content's files."""
        shutil.rmtree(self._root / str(asset_id), ignore_errors=True)


@contextmanager
def open_scratch(parent: Path | None) -> Iterator[Scratch]:
    """A process' own folder below `parent`, by default that of temporary files."""
    home = parent or Path(tempfile.gettempdir())
    for left in home.glob("petfolio-media-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _OLD_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="petfolio-media-", dir=home, ignore_cleanup_errors=True) as root:
        yield Scratch(Path(root))
