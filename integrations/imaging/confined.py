"""Imaging whose decoding is done by children: one per file, forked from a server that has the libraries loaded and has
never seen a file.

A child costs milliseconds then, and its end, however it comes, is an answer: see `_fallen`.
"""

import signal
import threading
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydantic import ValidationError

from core.errors import PetfolioError
from domain.media.variants import Variant
from integrations.imaging import child, work
from integrations.imaging.limits import Limits
from integrations.imaging.protocol import (
    ImagingUnavailable,
    Inspected,
    Progress,
    Reason,
    Rendered,
    RenderedFile,
    Unreadable,
)

_BEAT_SECONDS: Final = 0.5
_LONGEST_ANSWER: Final = 64 * 1024
_REAPED_SECONDS: Final = 5.0
_STARTING = threading.Lock()
"""multiprocessing reads a child's end once, and whoever starts another child may be the one: then it is lost."""
_OF_THE_FILE: Final = {
    -signal.SIGXCPU: Reason.TOO_SLOW,
    -signal.SIGTRAP: Reason.TOO_MUCH_MEMORY,  # how GLib ends where it gets none
    **dict.fromkeys(
        (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGFPE, -signal.SIGILL, -signal.SIGSYS, 1),
        Reason.DAMAGED,
    ),
}
"""Ends of a child that come again with the same file; 1 is an exception that nobody expected. Any other end came from
outside."""


class ConfinedImaging:
    """`Imaging` by libvips, libheif and PDFium. Any number of threads may call; each call is a child at work."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([child.__name__])

    def inspect(self, path: Path) -> Inspected:
        """See `Imaging`."""
        answer = self._ask(partial(work.inspect, path), lambda _: None)
        if answer.inspected is None:
            raise ImagingUnavailable("the child answered another question")
        return answer.inspected

    def render(
        self, path: Path, into: Path, *, plan: Sequence[Variant], on_progress: Progress = lambda percent: None
    ) -> Rendered:
        """See `Imaging`. Files appear in `into` when all of them are whole."""
        with TemporaryDirectory(prefix=".rendering-", dir=into) as folder:
            drawn = self._ask(partial(work.render, path, Path(folder), plan), on_progress).drawn
            if drawn is None or drawn.sizes.keys() != {variant.name for variant in plan}:
                raise ImagingUnavailable("the child answered another question")
            files = [_moved(Path(folder), into, variant, *drawn.sizes[variant.name]) for variant in plan]
        return Rendered(files, bytes.fromhex(drawn.thumbhash), drawn.pages)

    def _ask(self, task: child.Task, on_progress: Progress) -> child.Answer:
        """The last answer of a child that does the task. No child is left, whatever is raised."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=child.run, args=(theirs, task, self.limits), daemon=True)
        with ours:
            with theirs:
                _start(process)
            try:
                return self._heard(process, ours, on_progress)
            finally:
                process.kill()
                _exit_code(process)
                process.close()

    def _heard(self, process: ForkServerProcess, ours: Connection, on_progress: Progress) -> child.Answer:
        deadline, percent = time.monotonic() + self.limits.wall_seconds, 0
        while (left := deadline - time.monotonic()) > 0:
            on_progress(percent)
            if not ours.poll(min(_BEAT_SECONDS, left)):
                continue
            try:
                answer: child.Answer = child.ANSWER.validate_json(ours.recv_bytes(_LONGEST_ANSWER))
            except EOFError:
                raise _fallen(_exit_code(process)) from None
            except (OSError, ValidationError):
                raise Unreadable(Reason.DAMAGED) from None
            if answer.percent is None:
                return _accepted(answer)
            percent = answer.percent
        raise ImagingUnavailable("the child did not get far enough in its time")


def _start(process: ForkServerProcess) -> None:
    try:
        with _STARTING:
            process.start()
    except (OSError, EOFError):
        raise ImagingUnavailable("no child could be started") from None


def _exit_code(process: ForkServerProcess) -> int | None:
    with _STARTING:
        process.join(_REAPED_SECONDS)
        return process.exitcode


def _fallen(code: int | None) -> PetfolioError:
    """What it means that a child ended without an answer."""
    if code in _OF_THE_FILE:
        return Unreadable(_OF_THE_FILE[code])
    return ImagingUnavailable("the child was ended")


def _accepted(answer: child.Answer) -> child.Answer:
    if answer.reason is not None:
        raise Unreadable(answer.reason)
    if answer.failed:
        raise ImagingUnavailable("the child could not write its files")
    return answer


def _moved(folder: Path, into: Path, variant: Variant, width: int, height: int) -> RenderedFile:
    path = (folder / variant.file_name).replace(into / variant.file_name)
    return RenderedFile(variant.name, path, variant.content_type, width, height, path.stat().st_size)
