"""The process that decodes one file and ends. It has limits that it cannot raise again, and whatever happens to it
happens to nobody else.

It answers in JSON, which is checked: what a stranger's file has taken over must not be unpickled.
"""

import ctypes
import os
import resource
import signal
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Final

import pypdfium2
import pyvips
from pydantic import TypeAdapter

from integrations.imaging.limits import Limits
from integrations.imaging.pictures import SaveFailed
from integrations.imaging.protocol import Inspected, Progress, Reason, Unreadable
from integrations.imaging.work import Drawn, cores

Task = Callable[[Limits, Progress], Inspected | Drawn]


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of a child: how far it is, or its end. `failed` is the machine's fault, not the file's."""

    percent: int | None = None
    reason: Reason | None = None
    failed: bool = False
    inspected: Inspected | None = None
    drawn: Drawn | None = None


ANSWER: Final = TypeAdapter(Answer)
_DECODERS_SAY: Final = (pyvips.Error, pypdfium2.PdfiumError, ValueError, RuntimeError, EOFError, SyntaxError)
"""What the libraries raise for a file that they cannot make sense of."""
_MALLOC: Final = {
    -8: 2,  # M_ARENA_MAX: each arena reserves address space, which is what is limited
    -3: 32 * 2**20,  # M_MMAP_THRESHOLD, the highest: what an encoder gives back, the next one finds warm (3 % of CPU)
    -1: 512 * 2**20,  # M_TRIM_THRESHOLD: for the same reason
}
"""By the numbers of glibc's malloc.h."""
_LARGEST_FILE: Final = 256 * 2**20


def run(answers: Connection, task: Task, limits: Limits) -> None:
    """The whole life of a child. A parent that is gone needs no answer."""
    _confine(limits)
    with suppress(BrokenPipeError):
        _say(answers, _outcome(task, limits, lambda percent: _say(answers, Answer(percent=percent))))


def _say(answers: Connection, answer: Answer) -> None:
    answers.send_bytes(ANSWER.dump_json(answer, exclude_defaults=True))


def _outcome(task: Task, limits: Limits, say: Progress) -> Answer:
    try:
        done = task(limits, say)
    except Unreadable as refused:
        return Answer(reason=refused.reason)
    except MemoryError:
        return Answer(reason=Reason.TOO_MUCH_MEMORY)
    except BrokenPipeError:
        raise
    except (OSError, SaveFailed, *_DECODERS_SAY) as error:
        if "memory" in str(error).lower():  # libraries have no code for it, only words
            return Answer(reason=Reason.TOO_MUCH_MEMORY)
        return Answer(reason=Reason.DAMAGED) if isinstance(error, _DECODERS_SAY) else Answer(failed=True)
    return Answer(inspected=done) if isinstance(done, Inspected) else Answer(drawn=done)


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _confine(limits: Limits) -> None:
    """Give up what the file must not have. The alarm is for a child that not even its parent's death ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for what, value in _MALLOC.items():
            libc.mallopt(what, value)
    warnings.simplefilter("ignore")  # what libraries have to say about a stranger's file is the answer
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(cores())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)
    for limit, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most + (limit == resource.RLIMIT_CPU)))
