"""What decoders do with bad files, as tasks for a child."""

import gc
import os
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from integrations.imaging.limits import Limits
from integrations.imaging.protocol import Inspected, Progress


def answers(limits: Limits, say: Progress) -> Inspected:
    """A file without fault."""
    return Inspected("image/png", 1, 1)


def eats_memory(limits: Limits, say: Progress) -> Inspected:
    """Believes a size that a file names."""
    return Inspected("image/png", len(bytearray(2**40)), 1)


def thinks_for_ever(limits: Limits, say: Progress) -> Inspected:
    """Goes round in a loop that a file has led it into."""
    while True:
        pass


def waits_for_ever(note: Path, limits: Limits, say: Progress) -> Inspected:
    """Gets no core. Notes its process id first."""
    note.write_text(str(os.getpid()))
    say(1)
    while True:
        threading.Event().wait()


def falls(number: int, limits: Limits, say: Progress) -> Inspected:
    """Has its memory overwritten."""
    os.kill(os.getpid(), number)
    while True:
        threading.Event().wait()


def raises(limits: Limits, say: Progress) -> Inspected:
    """Meets a mistake of ours."""
    raise KeyError("nobody expected this")


def finds_no_room(limits: Limits, say: Progress) -> Inspected:
    """Finds the disk full."""
    raise OSError(28, "No space left on device")


def is_taken_over(content: bytes, limits: Limits, say: Progress) -> Inspected:
    """Says to the parent what the file wants it to say."""
    for pipe in [each for each in gc.get_objects() if isinstance(each, Connection) and each.writable]:
        pipe.send_bytes(content)
    os._exit(0)
