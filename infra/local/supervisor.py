"""Runs the whole stack in one process tree: start in dependency order, keep alive, end in order, leave nothing."""

import asyncio
import errno
import shutil
import signal
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import psutil

from infra.local import state as state_file
from infra.local.errors import StackError
from infra.local.ports import require_free
from infra.local.process import Memory, memory_of, tail
from infra.local.runner import Runner
from infra.local.service import Service
from infra.local.site import Site
from infra.local.state import Record, StackState, State

START_SECONDS = 120.0
"""A first start takes 8 s; a machine that does much else gets the time it needs. What fails is said at once."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOG_BYTES = 20 * 2**20
_LOG_CHECK_SECONDS = 30.0


class Supervisor:
    """One run of the stack. `show` gets every new state; with `once` everything ends when any service does."""

    def __init__(
        self,
        site: Site,
        base_port: int,
        services: Sequence[Service],
        show: Callable[[StackState], None],
        *,
        once: bool = False,
    ) -> None:
        self.site, self._base_port, self._once, self._show = site, base_port, once, show
        self.runners = {service.name: Runner(service, site, self._changed) for service in services}
        self._me = Record.of(psutil.Process().pid)
        self._began = time.monotonic()
        self._seconds: float | None = None
        self._memory: Memory | None = None
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hurry = asyncio.Event()
        self.stop_seconds = 0.0

    async def run(self, companion: Callable[["Supervisor"], Coroutine[None, None, None]] | None = None) -> None:
        """Until a signal. Raises `StackError` when the stack cannot start or, with `once`, when a service ended;
        nothing is left running then either. The `companion` runs beside it once everything is ready."""
        self._changed()
        require_free(self.site.ports, self._ports())
        loop = asyncio.get_running_loop()
        # Probes block for up to a second each; the default pool is smaller than our table on a small machine.
        loop.set_default_executor(ThreadPoolExecutor(max_workers=2 * len(self.runners)))
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._interrupt)
        tasks = [asyncio.create_task(self._follow(runner)) for runner in self.runners.values()]
        tasks.append(asyncio.create_task(self._rotate_logs()))
        try:
            if await self._until_ready() and companion:
                tasks.append(asyncio.create_task(companion(self)))
            await self._over
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stop_all()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def restart(self, chosen: Callable[[Service], bool]) -> None:
        """End these services on purpose, together; each comes back at once."""
        await asyncio.gather(*(runner.restart() for runner in self.runners.values() if chosen(runner.service)))

    def state(self) -> StackState:
        """What is to be seen now."""
        healthy = all(runner.healthy for runner in self.runners.values())
        return StackState(
            data_dir=str(self.site.root),
            base_port=self._base_port,
            supervisor=self._me,
            ready=healthy and self._seconds is not None and not self._over.done(),
            seconds=self._seconds,
            memory=self._memory,
            urls=urls_of(self.site),
            services={name: runner.view() for name, runner in self.runners.items()},
        )

    def _ports(self) -> list[str]:
        ours = (runner.service for runner in self.runners.values() if not runner.service.given_by(self.site))
        return [port for service in ours for port in service.ports]

    def _changed(self) -> None:
        state = self.state()
        state_file.write(self.site.root, state)
        self._show(state)
        for runner in self.runners.values():
            if runner.state is State.FAILED and self._seconds is None:
                self._fail(_not_ready(runner))
            elif runner.state in (State.FAILED, State.RESTARTING) and self._once:
                self._fail(StackError(f"{runner.service.title} ended, and --once stops everything then."))

    def _fail(self, error: StackError | OSError) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    def _interrupt(self) -> None:
        """The first signal stops; the second does not wait for drains."""
        if self._over.done():
            self._hurry.set()
        else:
            self._over.set_result(None)

    async def _follow(self, runner: Runner) -> None:
        try:
            await runner.run([self.runners[name] for name in runner.service.after if name in self.runners])
        except OSError as error:
            if error.errno == errno.ENOSPC and self._seconds is None:
                self._fail(error)
            runner.give_up(str(error))
        except Exception as error:  # whatever it was, the others go on and the table says so
            runner.give_up(str(error) or type(error).__name__)

    async def _until_ready(self) -> bool:
        """True when everything is; False when the end came first. Raises when a minute was not enough."""
        ready = asyncio.ensure_future(self._all_ready())
        both: list[asyncio.Future[None]] = [ready, self._over]
        await asyncio.wait(both, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if self._over.done():
            ready.cancel()
            return False
        if not ready.done():
            ready.cancel()
            raise _not_ready(next(r for r in self.runners.values() if not r.ready_once.is_set()))
        self._seconds = time.monotonic() - self._began
        self._memory = await asyncio.to_thread(memory_of, psutil.Process().pid)
        self._changed()
        return True

    async def _all_ready(self) -> None:
        for runner in self.runners.values():
            await runner.ready_once.wait()

    async def _stop_all(self) -> None:
        """Stage by stage: api, workers, the data services together, Postgres."""
        began = time.monotonic()
        ordered = sorted(self.runners.values(), key=lambda runner: runner.service.stop.stage)
        for _, stage in groupby(ordered, key=lambda runner: runner.service.stop.stage):
            await asyncio.gather(*(runner.stop(self._hurry) for runner in stage))
        if not self.site.run.is_relative_to(self.site.root):
            shutil.rmtree(self.site.run, ignore_errors=True)
        self._me = None
        self.stop_seconds = time.monotonic() - began
        self._changed()

    async def _rotate_logs(self) -> None:
        """A service holds its log open for appending, so a full one is copied and emptied in place."""
        while True:
            await asyncio.sleep(_LOG_CHECK_SECONDS)
            for log in self.site.logs.glob("*.log"):
                if log.stat().st_size > _LOG_BYTES:
                    shutil.copyfile(log, log.with_suffix(".log.1"))
                    log.open("w").close()


def urls_of(site: Site) -> Mapping[str, str]:
    """Where the stack's doors are; external ones as the person gave them."""
    return {
        "api_url": site.link("api"),
        "temporal_ui_url": site.environ.get("PETFOLIO_TEMPORAL_UI_URL") or site.link("temporal_ui"),
        "temporal_address": site.environ.get("PETFOLIO_TEMPORAL_ADDRESS") or site.address("temporal"),
        "inbox_url": site.link("inbox"),
    }


def _not_ready(runner: Runner) -> StackError:
    """The sentence about what is missing, and the end of its log."""
    sentence = f"{runner.service.title} {runner.note or f'was not ready within {START_SECONDS:.0f} s'}."
    end = tail(Path(runner.log))
    return StackError(f"{sentence} The end of {runner.log}:\n{end}" if end else sentence)
