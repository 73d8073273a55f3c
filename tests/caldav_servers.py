"""Real CalDAV servers for tests: Radicale with knobs, in a thread, and Xandikos, each in a folder of its own."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from passlib.hash import sha512_crypt

from infra.local import ports
from infra.local.caldav_server import TOKEN_AGE, application, serving
from infra.local.probe import http_status
from infra.local.process import Command, Stop, end, spawn
from tests.services import asked

PASSWORD = "long-and-random"
_STARTS_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a server knows."""

    url: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Radicale:
    """The server at `origin`; it has `users`, each with the password `PASSWORD`."""

    origin: str
    users: tuple[str, ...]

    def account(self, number: int = 0) -> Account:
        """The n-th user's."""
        return Account(f"{self.origin}/", self.users[number], PASSWORD)

    def knob(self, name: str, **asked_for: Any) -> Any:
        """Turn a knob of `infra/local/caldav_knobs.py`; answers what it says."""
        return asked("POST", f"{self.origin}/_control/{name}", asked_for)

    def log(self) -> list[dict[str, Any]]:
        """The requests so far, oldest first."""
        return list(asked("GET", f"{self.origin}/_control/log"))


@contextmanager
def running_radicale(folder: Path, *, users: int = 50, token_age: int = TOKEN_AGE) -> Iterator[Radicale]:
    """Radicale in a thread, over this folder."""
    names = tuple(f"user{number}" for number in range(users))
    folder.mkdir(parents=True, exist_ok=True)
    with serving(application(folder / "collections", user_file(folder, names), token_age)) as port:
        yield Radicale(f"http://127.0.0.1:{port}", names)


def user_file(folder: Path, names: Iterable[str]) -> Path:
    """A file of these users, each with the password `PASSWORD`."""
    digest, users = sha512_crypt.using(rounds=1_000).hash(PASSWORD), folder / "users"
    users.write_text("".join(f"{name}:{digest}\n" for name in names))
    return users


@contextmanager
def running_xandikos(folder: Path) -> Iterator[Account]:
    """Xandikos as a process. It asks for no password."""
    port = _free_port()
    options = ("-d", str(folder), "-l", "127.0.0.1", "-p", str(port), "--defaults", "--no-detect-systemd")
    state = ("--state-dir", str(folder.with_suffix(".state")))
    program = Path(sys.executable).with_name("xandikos")
    log = folder.with_suffix(".log")
    process = spawn(Command((str(program), "serve", *options, *state), cwd=folder.parent), log)
    try:
        _wait_for(process, port, log)
        yield Account(f"http://127.0.0.1:{port}/", "user", PASSWORD)
    finally:
        end(process, Stop())


def _free_port() -> int:
    """One that nobody has now, below those that outgoing connections take."""
    start = 29_000 + os.getpid() % 1_000
    return next(port for port in range(start, 32_000) if ports.is_free(port))


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while http_status(port, "/") is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"Xandikos does not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    """Radicale for this pytest process. Tests turn its knobs back with `reset`, and take a calendar each."""
    folder = tmp_path_factory.mktemp("radicale")
    with running_radicale(folder) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def xandikos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Xandikos for this pytest process."""
    with running_xandikos(tmp_path_factory.mktemp("xandikos") / "data") as account:
        yield account


def calendar_path(account: Account) -> str:
    """Of a calendar that is not there yet."""
    return f"/{account.user}/calendars/{uuid.uuid4().hex[:12]}/"
