"""Processes under measurement: pinned to a core, and how much CPU they have used."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil

ROOT = Path(__file__).resolve().parents[1]
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SERVER_CORE, DRIVER_CORE = CORES[-1], CORES[0]
"""Different ones where there are two."""


def start(
    command: Sequence[str], core: int | None, env: Mapping[str, str], cwd: Path = ROOT, stdout: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start it on one core; None leaves it where the system puts it."""
    pin = None if core is None or len(CORES) < 2 else lambda: os.sched_setaffinity(0, {core})
    return subprocess.Popen(command, env={**os.environ, **env}, cwd=cwd, preexec_fn=pin, stdout=stdout, text=True)


def python(*arguments: str) -> list[str]:
    """This interpreter, running a module."""
    return [sys.executable, "-m", *arguments]


@contextmanager
def serving(command: Sequence[str], env: Mapping[str, str], url: str, token: str, cwd: Path = ROOT) -> Iterator[int]:
    """A server on the servers' core, from its first good answer to its end. Gives its pid."""
    # Its log is written and thrown away: in a pipe that nobody empties it would stop the server at 64 KiB.
    process = start(command, SERVER_CORE, env, cwd, subprocess.DEVNULL)
    try:
        _wait_for(url, token, process)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, token: str, process: subprocess.Popen[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(URLError, OSError):
            urlopen(Request(url, headers={"Authorization": f"Bearer {token}"}), timeout=5).read()
            return
        time.sleep(0.1)
    raise SystemExit(f"no server answered {url}")


@contextmanager
def pinned(pids: Sequence[int], core: int) -> Iterator[None]:
    """Every thread of these processes and of those below them on one core meanwhile; so is what they start."""
    before = {thread: os.sched_getaffinity(thread) for thread in _threads(pids)}
    _move({thread: {core} for thread in before})
    try:
        yield
    finally:
        _move({thread: before.get(thread, set(CORES)) for thread in _threads(pids)})


def _threads(pids: Iterable[int]) -> list[int]:
    found = []
    for each in families(pids):
        with suppress(psutil.NoSuchProcess):
            found += [thread.id for thread in each.threads()]
    return found


def _move(cores: Mapping[int, set[int]]) -> None:
    for thread, where in cores.items():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, where)


def families(pids: Iterable[int]) -> Iterator[psutil.Process]:
    """These processes and everything below them."""
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            yield from (root, *root.children(recursive=True))


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time so far of these processes and everything below them."""
    total = 0.0
    for process in families(pids):
        with suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system
    return total


def ended_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes that ended below them."""
    total = 0.0
    for process in families(pids):
        with suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.children_user + used.children_system
    return total


def memory_bytes(pid: int) -> int:
    """Resident memory of a process and everything below it."""
    root = psutil.Process(pid)
    return sum(process.memory_info().rss for process in (root, *root.children(recursive=True)))
