"""Asks a child process, and takes whatever comes of it for an answer.

One child per question, forked from a server that has the libraries loaded and has never seen a file: it costs
milliseconds. Its parent is the server, which reaps it; whoever asks holds the other end of its pipe, and kills it.

multiprocessing has each child import the script that its worker was started as, unless that is a package (`python -m`),
as our processes are: a script that imports much makes each child as slow (seconds of CPU, measured).
"""

import signal
import threading
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Final

from pydantic import ValidationError

from core.errors import PetfolioError
from integrations.imaging import child
from integrations.imaging.limits import Limits
from integrations.imaging.protocol import ImagingUnavailable, Progress, Reason, Unreadable

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
_CONTEXT: Final = get_context("forkserver")


def ask(task: child.Task, limits: Limits, on_progress: Progress) -> child.Answer:
    """The last answer of a child that does the task. Raises `Unreadable`, `ImagingUnavailable` and what `on_progress`
    raises; no child is left in any case."""
    _CONTEXT.set_forkserver_preload([child.__name__])
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=child.run, args=(theirs, task, limits), daemon=True)
    with ours:
        with theirs:
            _start(process)
        try:
            return _heard(process, ours, limits, on_progress)
        finally:
            process.kill()
            if _exit_code(process) is not None:
                process.close()


def _heard(process: ForkServerProcess, ours: Connection, limits: Limits, on_progress: Progress) -> child.Answer:
    deadline, percent = time.monotonic() + limits.wall_seconds, 0
    while (left := deadline - time.monotonic()) > 0:
        on_progress(percent)
        if not ours.poll(min(_BEAT_SECONDS, left)):
            continue
        try:
            answer: child.Answer = child.ANSWER.validate_json(ours.recv_bytes(_LONGEST_ANSWER))
        except EOFError:
            raise _fallen(_exit_code(process)) from None
        except (OSError, ValidationError):  # not what a child of ours says: the file speaks
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
