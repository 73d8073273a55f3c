"""What decoders do with bad files, as tasks for a child."""

import gc
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
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


def looks_at_its_parent(limits: Limits, say: Progress) -> Inspected:
    """Says what the server of children was started with."""
    return Inspected(Path(f"/proc/{os.getppid()}/environ").read_bytes().decode(), 1, 1)


def looks_around(limits: Limits, say: Progress) -> Inspected:
    """Does what a file would that has taken it over; says what it got."""
    got = [name for name in os.environ if name.startswith("PETFOLIO")]
    got += ["the first environment"] if b"PETFOLIO" in Path("/proc/self/environ").read_bytes() else []
    attempts: dict[str, Callable[[], object]] = {
        "a socket": socket.socket,
        "a process": os.fork,
        "a program": lambda: os.execv("/bin/true", ["true"]),
        "many files": lambda: [os.dup(0) for _ in range(100)],
    }
    for name, attempt in attempts.items():
        with suppress(OSError):
            attempt()
            got.append(name)
    thread = threading.Thread(target=got.append, args=("and a thread",))
    thread.start()
    thread.join()
    return Inspected(", ".join(got), 1, 1)


def is_taken_over(content: bytes, limits: Limits, say: Progress) -> Inspected:
    """Says to the parent what the file wants it to say."""
    for pipe in [each for each in gc.get_objects() if isinstance(each, Connection) and each.writable]:
        pipe.send_bytes(content)
    os._exit(0)
