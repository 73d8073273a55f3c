"""Processes: how one is started, recognised after a crash of ours, measured and ended."""

import contextlib
import hashlib
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

import psutil

from infra.local.errors import StackError
from infra.local.site import Identity


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. Passwords travel by file or environment, never in `argv`, which everybody can read."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """How to end a process: lower stages first; after `patience` seconds SIGKILL, or `last` where that does harm."""

    stage: int = 2
    signal: Signals = Signals.SIGTERM
    patience: float = 10.0
    last: Signals = Signals.SIGKILL


def spawn(command: Command, log: Path) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that Ctrl-C reaches the supervisor alone; output is appended to `log`."""
    drop: dict[str, object] = {}
    if command.identity:
        drop = {"user": command.identity.uid, "group": command.identity.gid, "extra_groups": []}
    with log.open("ab") as out:
        try:
            return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
                command.argv,
                env={**os.environ, **command.env},
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **drop,
            )
        except FileNotFoundError:
            raise missing(command.argv[0]) from None


def missing(program: str) -> StackError:
    """The sentence for a program that is not there."""
    return StackError(f"{program} is missing: `make env` installs it from the locked wheels.")


def fingerprint(argv: Sequence[str]) -> str:
    """A hash of the command line; with pid and start time it recognises a process of ours, never a name."""
    return hashlib.sha256("\0".join(argv).encode()).hexdigest()[:16]


def find(pid: int, create_time: float, command: str) -> psutil.Process | None:
    """The recorded process if it is still the same one, else None: pids are used again."""
    try:
        process = psutil.Process(pid)
        same_start = abs(process.create_time() - create_time) < 1.0
        if same_start and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return process if fingerprint(process.cmdline()) == command else None
    except psutil.Error:
        pass  # gone, or somebody else's
    return None


def end(process: psutil.Process | subprocess.Popen[bytes], stop: Stop) -> None:
    """Ask, wait, insist; returns when the process and the rest of its session are gone."""
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        process.send_signal(stop.signal)
        if not _ended_within(process, stop.patience):
            process.send_signal(stop.last)
            _ended_within(process, float("inf"))
    end_session(process.pid, stop)


def _ended_within(process: psutil.Process | subprocess.Popen[bytes], seconds: float) -> bool:
    """A zombie counts as ended: an orphan's may stay until its adoptive parent looks."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if isinstance(process, subprocess.Popen):
            if process.poll() is not None:
                return True
        elif not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def end_session(leader: int, stop: Stop) -> None:
    """End what a dead leader left in its process group; Postgres' children leave by themselves."""
    if stop.last is Signals.SIGKILL:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, Signals.SIGKILL)


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log file, for the sentence about a service that did not start."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `resident` counts a shared page once per process, `fair` once in all where the system can tell (Linux):
    PostgreSQL's processes alone share 100 MB."""

    resident: int
    fair: int


def memory_of(pid: int) -> Memory:
    """Of this process and its descendants."""
    found: list[Memory] = []
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        found = [_memory(process) for process in (root, *root.children(recursive=True))]
    return Memory(sum(one.resident for one in found), sum(one.fair for one in found))


def _memory(process: psutil.Process) -> Memory:
    try:
        resident = int(process.memory_info().rss)
    except psutil.Error:
        return Memory(0, 0)
    try:
        return Memory(resident, int(getattr(process.memory_full_info(), "pss", 0)) or resident)
    except psutil.Error:
        return Memory(resident, resident)
