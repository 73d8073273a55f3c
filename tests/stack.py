"""A whole Petfolio for tests: `petfolio up` in a folder of its own, driven through its own command only."""

import asyncio
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from infra.local import ports

PETFOLIO = Path(sys.executable).with_name("petfolio")


async def until(condition: Callable[[], Any], *, within: float, what: str) -> Any:
    """Ask `condition` (plain or async) until it answers something truthy, and answer that. `within` is in seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}")
        await asyncio.sleep(0.05)  # between two looks at a condition, never instead of one


@dataclass(frozen=True, slots=True)
class Stack:
    """A running platform. Everything is read from `petfolio status --json`."""

    data_dir: Path
    environment: dict[str, str]
    uid: int | None = None
    """Who runs the command; None: whoever runs the tests."""

    async def petfolio(self, *arguments: str, within: float = 90) -> str:
        """Run the command; answer its standard output. Fails on a non-zero exit, with what it said."""
        code, out, err = await self._run(*arguments, within=within)
        assert code == 0, f"petfolio {' '.join(arguments)}: {out}{err}"
        return out

    async def attempt(self, *arguments: str, within: float = 90) -> tuple[int, str]:
        """Run a command that may fail; answer its exit code and what it said on standard error."""
        code, _, err = await self._run(*arguments, within=within)
        return code, err

    async def _run(self, *arguments: str, within: float) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            str(PETFOLIO),
            *arguments,
            "--data-dir",
            str(self.data_dir),
            env=os.environ | self.environment,
            user=self.uid,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(within):
            out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def status(self) -> dict[str, Any]:
        """The object of `petfolio status --json`."""
        answer: dict[str, Any] = json.loads(await self.petfolio("status", "--json"))
        return answer

    def settings(self) -> dict[str, str]:
        """What a process gets that joins it: the file `env` of its data folder."""
        lines = (line.partition("=") for line in (self.data_dir / "env").read_text().splitlines())
        return {name: "".join(shlex.split(value)) for name, _, value in lines}

    async def pid(self, service: str) -> int:
        """The process id of a service, once it runs."""
        return int((await self.status())["services"][service]["pid"])

    async def kill(self, service: str, how: signal.Signals = signal.SIGKILL, *, pid: int | None = None) -> int:
        """Send a signal to a service. Answers the pid that got it; who needs the moment gives it, asking takes one."""
        pid = pid or await self.pid(service)
        os.kill(pid, how)
        return pid

    async def kill_and_wait(self, service: str, *, pid: int | None = None) -> None:
        """SIGKILL a service, as in `kill`, and wait until the supervisor has it running again under another pid."""
        old = await self.kill(service, pid=pid)

        async def is_back() -> bool:
            entry = (await self.status())["services"][service]
            return bool(entry["state"] == "running" and entry["pid"] != old)

        await until(is_back, within=120, what=f"{service} running again")

    def processes(self) -> list[psutil.Process]:
        """Every live process that names this data folder, the supervisor included."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            words = " ".join(process.info["cmdline"] or ())
            if str(self.data_dir) in words:
                found.append(process)
        return found


@asynccontextmanager
async def running_stack(name: str, **environment: str) -> AsyncIterator[Stack]:
    """`petfolio up --detach` on free ports, in a new folder; everything is stopped and deleted again, whatever
    happened in between. Not below pytest's folders: those are closed to the uid that root lends to Postgres."""
    data_dir = Path(tempfile.mkdtemp(prefix=f"petfolio-{name}-"))
    stack = Stack(data_dir, environment)
    try:
        await stack.petfolio("up", "--detach", "--base-port", "0")
        yield stack
    finally:
        await stack.petfolio("down")
        shutil.rmtree(data_dir)


@asynccontextmanager
async def joined(
    stack: Stack, program: Sequence[str], **environment: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """Another process of the stack, `python -m program`, as soon as it is ready, and a client of what it serves.

    `{port}` in the environment is its port. One that still runs afterwards is told to stop.
    """
    port = next(port for port in range(22_300, 22_399) if ports.is_free(port))
    own = {name: value.format(port=port) for name, value in environment.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *program),
        env=os.environ | stack.settings() | own,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            await until(lambda: _is_ready(client), within=60, what=f"another {' '.join(program)} is ready")
            yield process, client
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


class Inbox:
    """What the local mail and SMS providers accepted."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def messages(self, to: str | None = None) -> list[dict[str, Any]]:
        """Newest first."""
        answer = await self.client.get("/api/messages", params={"to": to} if to else {})
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    async def mail_with(self, to: str, words: str, *, within: float = 20) -> dict[str, Any]:
        """The newest mail to `to` whose text holds `words`, as soon as it has arrived."""

        async def arrived() -> dict[str, Any] | None:
            return next((m for m in await self.messages(to) if words in (m["text"] or "")), None)

        mail: dict[str, Any] = await until(arrived, within=within, what=f"a mail with {words!r}")
        return mail

    async def faults(self, **fault: Any) -> None:
        """Make the provider misbehave; see `infra/local/aws.py` for the words."""
        (await self.client.post("/_control/faults", json=fault)).raise_for_status()

    async def holds_all(self) -> bool:
        """Whether every fault has met its call: the provider has as many messages in its hands as were asked for."""
        return not (await self.client.get("/_control/faults")).json()
