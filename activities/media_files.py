"""Blocking work on files, beside the event loop: it heartbeats, tells how far it is, and ends when it is cancelled."""

import asyncio
import fcntl
import os
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
_TELL: Final = 2.0
"""What takes no longer has a beginning and an end for its screens, and costs no row in between."""
_STOP_SECONDS: Final = 20.0
_IDLE_SECONDS: Final = 20 * 60
"""Longer than an attempt at a step may last (`temporal.policies.MEDIA_JOB`)."""
_PREFIX: Final = "petfolio-media-scratch-"
_UNLOCKED: Final = f".{_PREFIX}"
"""Of a folder that is not locked yet, so that nobody takes it for one whose process has died."""


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
    """A meter whose activity heartbeats; `tell` hears of each tenth that is done, every two seconds at most."""
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
    told_at = beaten
    while True:
        if time.monotonic() - beaten >= _BEAT:
            activity.heartbeat()
            beaten = time.monotonic()
        if tell is not None and meter.done - told >= 0.1 and time.monotonic() - told_at >= _TELL:
            told, told_at = meter.done, time.monotonic()
            with suppress(Exception):  # a hint for screens: the work does not fail for it
                await tell(told)
        await asyncio.sleep(_TICK)


class Scratch:
    """A folder for the files of contents that are being worked on, which its process alone may read. One that vanished
    is made anew: what was in it is fetched again. The next step of a content may be another process', which does not
    tell: what was not used for a while is forgotten."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, asset_id: UUID) -> Path:
        """The folder of a content. Its file is kept from one step to the next, and continued after a break."""
        folder = self._root / str(asset_id)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        os.utime(folder)
        self._drop_idle()
        return folder

    @contextmanager
    def output(self, asset_id: UUID) -> Iterator[Path]:
        """A folder for what one attempt makes, gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="made-", dir=self.of(asset_id), ignore_cleanup_errors=True) as made:
            yield Path(made)

    def count_slow_scan(self, asset_id: UUID) -> int:
        """How often a scanner came to no end with it in this process, this time included."""
        note = self.of(asset_id) / "slow-scans"
        with note.open("ab") as file:
            file.write(b".")
        return note.stat().st_size

    def drop(self, asset_id: UUID) -> None:
        """Forget a content's files."""
        shutil.rmtree(self._root / str(asset_id), ignore_errors=True)

    def _drop_idle(self) -> None:
        for folder in self._root.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - folder.stat().st_mtime > _IDLE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def open_scratch(parent: Path | None) -> Iterator[Scratch]:
    """A process' own folder below `parent`, by default that of temporary files. What processes that died have left
    there is removed."""
    home = parent or Path(tempfile.gettempdir())
    _remove_left(home)
    made = Path(tempfile.mkdtemp(prefix=_UNLOCKED, dir=home))
    with _locked(made):
        root = made.rename(home / made.name.removeprefix("."))
        try:
            yield Scratch(root)
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _remove_left(home: Path) -> None:
    for left in home.glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(left):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Its lock, which the kernel takes back when the process dies, however it dies. Raises OSError where another one
    has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
