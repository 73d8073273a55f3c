"""Keeps one service alive: start, ready, watch, start again with growing pauses, end."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from subprocess import Popen

from infra.local.process import end_session, spawn
from infra.local.service import Service
from infra.local.site import Site
from infra.local.state import Record, ServiceState, State

_TICK = 0.05
_WATCH_TICK = 0.2
_PROBE_EVERY = 2.0
_SILENT_SECONDS = 30.0
"""Alive but not answering for this long is reported; it is not killed, because it may be the one that recovers."""


class Runner:
    """One service. `changed` is called after each change of what can be seen."""

    def __init__(self, service: Service, site: Site, changed: Callable[[], None]) -> None:
        self.service, self.site, self._changed = service, site, changed
        self.state = State.STOPPED
        self.ready_once = asyncio.Event()
        self.healthy = False
        self.note = ""
        self._process: Popen[bytes] | None = None
        self._record: Record | None = None
        self._exits: deque[float] = deque()
        self._restarts = 0
        self._seconds: float | None = None
        self._wanted = asyncio.Event()

    @property
    def log(self) -> str:
        """The service's log file."""
        return str(self.site.logs / f"{self.service.name}.log")

    def view(self) -> ServiceState:
        """What people and `state.json` see."""
        port = self.site.ports[self.service.ports[0]] if self.service.ports else None
        external = self.state is State.EXTERNAL
        return ServiceState(
            title=self.service.title,
            state=self.state,
            process=self._record,
            port=None if external else port,
            url=None if external else self.service.link(self.site),
            restarts=self._restarts,
            seconds=self._seconds,
            note=self.note,
            oneshot=self.service.oneshot,
        )

    async def run(self, dependencies: Sequence["Runner"]) -> None:
        """Until cancelled or (a oneshot) done. Raises `StackError` for what no retry can heal."""
        for dependency in dependencies:
            await dependency.ready_once.wait()
        if self.service.given_by(self.site):
            await self._follow_external()
        if await asyncio.to_thread(self.service.settled, self.site):
            self._done("nothing to do")
            return
        while True:
            await self._start()
            while self._alive() and not await self._answers():  # noqa: ASYNC110 (as in `_exit`)
                await asyncio.sleep(_TICK)
            if self._alive():
                await self._serve()
            code = self._gone()
            if self.service.oneshot and code == 0:
                await asyncio.to_thread(self.service.provision, self.site)
                self._done()
                return
            await self._pause()

    def _done(self, note: str = "") -> None:
        self._set(State.DONE, healthy=True, note=note)
        self.ready_once.set()

    def give_up(self, why: str) -> None:
        """No further tries; the others go on."""
        self._set(State.FAILED, healthy=False, note=why)

    async def restart(self) -> None:
        """End the process on purpose; `run` starts it again at once, also one that was waiting or had failed."""
        self._wanted.set()
        if self._process and self._alive():
            await self._end(self._process, asyncio.Event())

    async def stop(self, hurry: asyncio.Event) -> None:
        """End the process; `run` must have been cancelled. `hurry` cuts the drain short."""
        if self._process and self._alive():
            self._set(self.state, healthy=False, note="stopping")
            await self._end(self._process, hurry)
        self._process = self._record = None
        await asyncio.to_thread(self.service.clean_up, self.site)
        if self.state is not State.FAILED:
            self._set(State.STOPPED, healthy=False)

    async def _start(self) -> None:
        await asyncio.to_thread(self.service.prepare, self.site)
        command = await asyncio.to_thread(self.service.command, self.site)
        self._began = time.monotonic()
        self._process = spawn(command, self.site.logs / f"{self.service.name}.log")
        self._record = Record.of(self._process.pid, command.argv)
        self._set(State.STARTING, healthy=False)

    async def _serve(self) -> None:
        """From ready to exit."""
        if self.service.oneshot:
            await self._exit()
            self._seconds = time.monotonic() - self._began
            return
        try:
            await asyncio.to_thread(self.service.provision, self.site)
        except Exception:
            if self._alive():
                raise
            return  # it ended under our hands: one more exit, not a reason to give up
        self._seconds = time.monotonic() - self._began
        self._set(State.RUNNING, healthy=True)
        self.ready_once.set()
        answered = probed = time.monotonic()
        while self._alive():
            await asyncio.sleep(_WATCH_TICK)
            if time.monotonic() - probed > _PROBE_EVERY:
                answers, probed = await self._answers(), time.monotonic()
                answered = probed if answers else answered
                self._report(probed - answered)

    def _report(self, silent: float) -> None:
        if silent == 0 and not self.healthy:
            self._set(State.RUNNING, healthy=True)
        elif silent >= _SILENT_SECONDS:
            self._set(State.RUNNING, healthy=False, note=f"alive, but has not answered for {silent:.0f} s")

    async def _pause(self) -> None:
        """Wait before the next try: not at all when it is wanted, for ever when there have been too many."""
        now = time.monotonic()
        self._exits.append(now)
        while self._exits[0] < now - self.service.window:
            self._exits.popleft()
        pause: float | None = None
        if self._wanted.is_set():
            self._exits.clear()
        elif len(self._exits) <= len(self.service.backoff):
            pause = self.service.backoff[len(self._exits) - 1]
            self._restarts += 1
            self._set(State.RESTARTING, healthy=False)
        else:
            self.give_up(self._too_often())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), pause)
        self._wanted.clear()

    def _too_often(self) -> str:
        times = len(self._exits)
        again = f"ended {times} times within {self.service.window:.0f} s" if times > 1 else "failed"
        return f"{again}; `petfolio logs {self.service.name}` says why"

    async def _follow_external(self) -> None:
        while True:
            answers = await asyncio.to_thread(self.service.answers, self.site)
            if answers:
                self.ready_once.set()
            if answers != self.healthy or self.state is not State.EXTERNAL:
                self._set(State.EXTERNAL, healthy=answers, note="" if answers else "does not answer")
            await asyncio.sleep(_PROBE_EVERY if answers else 0.2)

    async def _end(self, process: Popen[bytes], hurry: asyncio.Event) -> None:
        stop = self.service.stop
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(stop.signal)
        limit = time.monotonic() + stop.patience
        while process.poll() is None:
            if time.monotonic() > limit or hurry.is_set():
                process.send_signal(stop.last)
                limit = float("inf")
            await asyncio.sleep(0.02)
        end_session(process.pid, stop)

    async def _answers(self) -> bool:
        return await asyncio.to_thread(self.service.ready, self.site)

    async def _exit(self) -> None:
        while self._alive():  # noqa: ASYNC110 (a child process has no event to wait for)
            await asyncio.sleep(_TICK)

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _gone(self) -> int:
        """Clear up after an exit; its code."""
        process, self._process, self._record = self._process, None, None
        if process is None:
            return 0
        code = process.wait()
        end_session(process.pid, self.service.stop)
        return code

    def _set(self, state: State, *, healthy: bool, note: str = "") -> None:
        self.state, self.healthy, self.note = state, healthy, note
        self._changed()
