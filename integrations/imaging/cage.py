"""What a child may not ask of the kernel: no network, no other program, no process beside it, nobody else's memory.

A filter of system calls (seccomp) needs no right, holds for whatever the process becomes and cannot be taken off. It
stands where a limit on processes would: that one counts everything that a user runs, and never counts for root.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DUMPABLE, _NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 4, 38, 22, 2
_LOAD, _IS, _IS_SET, _ANSWER = 0x20, 0x15, 0x45, 0x06
_ALLOWED, _FAILED = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NUMBER_AT, _MACHINE_AT, _FLAGS_AT = 0, 4, 16
_CLONE_THREAD: Final = 0x10000
_SECRETS: Final = ("PETFOLIO_", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables with secrets begin so. botocore reads others of AWS each time its credentials expire."""


@dataclass(frozen=True, slots=True)
class _Machine:
    """Its number in audit.h, those of the calls that are denied, and that of `clone`."""

    audit: int
    denied: Sequence[int]
    clone: int


# socket, execve, execveat, ptrace, process_vm_readv, process_vm_writev, io_uring_setup, pidfd_getfd; fork and vfork
# where they are calls of their own.
_MACHINES: Final[Mapping[str, _Machine]] = {
    "x86_64": _Machine(0xC000003E, (41, 59, 322, 101, 310, 311, 425, 438, 57, 58), 56),
    "aarch64": _Machine(0xC00000B7, (198, 221, 281, 117, 270, 271, 425, 438), 220),
}
_CLONE3: Final = 435


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def enter() -> None:
    """From here on, for this thread and those that it starts; before there are others. Where there is no
    such filter (another system, an old kernel) limits alone have to do."""
    machine = _MACHINES.get(platform.machine()) if sys.platform == "linux" else None
    if machine is None:
        return
    steps = b"".join(struct.pack("=HBBI", *step) for step in _steps(machine))
    libc = ctypes.CDLL(None)
    program = _Program(len(steps) // 8, steps)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.prctl(_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)


def keep_secrets() -> None:
    """Of a worker, before its first child, and after everything has read its settings: nobody of the same user, as its
    children are, may read its memory or what it was started with, and what it starts does not inherit that. It writes
    no core either."""
    for name in [each for each in os.environ if each.startswith(_SECRETS)]:
        del os.environ[name]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DUMPABLE, 0, 0, 0, 0)


def forget_environment() -> None:
    """Secrets of the worker are not the child's business: neither as variables nor as what the kernel keeps of them."""
    os.environ.clear()
    if sys.platform == "linux":
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = int(fields[47]), int(fields[48])
        if begin:
            ctypes.memset(begin, 0, end - begin)


def _steps(machine: _Machine) -> Iterator[tuple[int, int, int, int]]:
    """Each step: its code, how many to skip if so and if not, and a number. Calls of another kind of machine, which
    have other numbers, are denied whole; `clone3`, whose flags nobody can look at, is not there, and `clone` makes
    threads only."""
    denied, missing, allowed = ((_ANSWER, 0, 0, answer) for answer in (_FAILED | _EPERM, _FAILED | _ENOSYS, _ALLOWED))
    yield from ((_LOAD, 0, 0, _MACHINE_AT), (_IS, 1, 0, machine.audit), denied, (_LOAD, 0, 0, _NUMBER_AT))
    yield from ((_IS_SET, 0, 1, 0x40000000), denied)  # x32
    for number in machine.denied:
        yield from ((_IS, 0, 1, number), denied)
    yield from ((_IS, 0, 1, _CLONE3), missing)
    yield from ((_IS, 0, 3, machine.clone), (_LOAD, 0, 0, _FLAGS_AT), (_IS_SET, 1, 0, _CLONE_THREAD), denied)
    yield allowed
