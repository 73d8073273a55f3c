"""The supervisor on small services: what it does when they end, hang, fail or are asked to start again."""

import asyncio
import dataclasses
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.local import ports, state
from infra.local.errors import StackError
from infra.local.process import Command, Stop
from infra.local.reload import reloader
from infra.local.service import Service
from infra.local.site import Site, open_site
from infra.local.state import State
from infra.local.supervisor import Supervisor
from tests.stack import until

SLEEPS = "import time; time.sleep(600)"
DEAF = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
ORDERED = (
    "import signal, sys, time\n"
    "def note(word): open({path!r}, 'a').write(word)\n"
    "signal.signal(signal.SIGTERM, lambda *_: (note('-{name} '), sys.exit()))\n"
    "note('+{name} '); time.sleep(0 if {oneshot} else 600)"
)


@pytest.fixture
def here(tmp_path: Path) -> Site:
    return open_site(tmp_path / "data", ports.block(20_000, {}), (), {}, durable=True)


def small(name: str, code: str = SLEEPS, **options: object) -> Service:
    """A service that runs this code and is ready at once."""
    service = Service(name=name, title=name.title(), command=lambda _: Command((sys.executable, "-S", "-c", code)))
    return dataclasses.replace(service, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def supervised(
    here: Site, *services: Service, companion: Callable[[Supervisor], Coroutine[None, None, None]] | None = None
) -> AsyncIterator[Supervisor]:
    """Run until the end of the block, then stop as a signal would; what the run raises is raised."""
    supervisor = Supervisor(here, 20_000, services, lambda _: None)
    run = asyncio.create_task(supervisor.run(companion))
    try:
        yield supervisor
    finally:
        if not run.done():
            signal.raise_signal(signal.SIGTERM)
        await run
    assert all(record.process is None for record in supervisor.state().services.values())


async def run_out(here: Site, *services: Service, once: bool = False) -> None:
    """A run that must end by itself; what it raises is raised, and none of its processes is left."""
    supervisor = Supervisor(here, 20_000, services, lambda _: None, once=once)
    try:
        async with asyncio.timeout(20):
            await supervisor.run()
    finally:
        assert all(record.process is None for record in supervisor.state().services.values())


def printed(here: Site) -> bool:
    """Whether `deaf` has set its signal handler."""
    return "deaf" in (here.logs / "deaf.log").read_text()


def pid_of(supervisor: Supervisor, name: str) -> int | None:
    return supervisor.state().services[name].pid


async def ready(supervisor: Supervisor) -> None:
    await until(lambda: supervisor.state().ready, within=20, what="ready")


async def test_services_start_after_what_they_need_and_end_in_stages(here: Site) -> None:
    path = here.root / "order"
    path.touch()

    def noted(name: str, **options: object) -> Service:
        code = ORDERED.format(path=str(path), name=name, oneshot=name == "setup")
        return small(name, code, ready=lambda _: f"+{name} " in path.read_text(), **options)

    services = [
        noted("api", after=("setup",), stop=Stop(stage=0)),
        noted("data", stop=Stop(stage=2)),
        noted("setup", after=("data",), oneshot=True),
    ]
    async with supervised(here, *services) as supervisor:
        await ready(supervisor)
    assert path.read_text() == "+data +setup +api -api -data "


async def test_a_service_that_ends_is_started_again_and_the_state_file_says_so(here: Site) -> None:
    async with supervised(here, small("cat")) as supervisor:
        await ready(supervisor)
        first = pid_of(supervisor, "cat")
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: pid_of(supervisor, "cat") not in (None, first), within=10, what="another pid")
        recorded = json.loads(state.path_in(here.root).read_text())["services"]["cat"]
        assert (recorded["restarts"], recorded["process"]["pid"]) == (1, pid_of(supervisor, "cat"))


async def test_a_service_that_keeps_ending_has_failed_while_the_others_go_on(here: Site) -> None:
    dies_later = f"import os,time; time.sleep(600 if not os.path.exists({str(here.root / 'bad')!r}) else 0)"
    flaky = small("flaky", dies_later, backoff=(0.01, 0.01))
    async with supervised(here, flaky, small("cat")) as supervisor:
        await ready(supervisor)
        (here.root / "bad").touch()
        await supervisor.restart(lambda service: service.name == "flaky")
        await until(lambda: supervisor.state().services["flaky"].state is State.FAILED, within=10, what="failed")
        assert supervisor.state().services["cat"].state is State.RUNNING
        assert not supervisor.state().ready

        (here.root / "bad").unlink()  # the person repairs the code: the reloader asks for it again
        await supervisor.restart(lambda service: service.name == "flaky")
        await ready(supervisor)


async def test_a_change_of_code_restarts_what_is_ours_and_nothing_else(here: Site, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    async with supervised(here, small("api", reload=True), small("data"), companion=reloader([code])) as supervisor:
        await ready(supervisor)
        api, data = pid_of(supervisor, "api"), pid_of(supervisor, "data")

        def restarted() -> bool:
            (code / "route.py").write_text("# saved\n")  # again and again: the watch may begin a moment after ready
            return pid_of(supervisor, "api") not in (None, api)

        await until(restarted, within=20, what="the api runs the new code")
        assert pid_of(supervisor, "data") == data
        assert supervisor.state().services["api"].restarts == 0, "a wanted restart is no failure"


async def test_a_oneshot_that_fails_ends_the_start_with_the_end_of_its_log(here: Site) -> None:
    setup = small("setup", "print('no such column'); raise SystemExit(1)", oneshot=True, backoff=())
    with pytest.raises(StackError, match=r"(?s)Setup failed.*no such column"):
        await run_out(here, setup, small("cat"))


async def test_with_once_the_end_of_one_service_ends_everything(here: Site) -> None:
    with pytest.raises(StackError, match="Mouse ended"):
        await run_out(here, small("mouse", "import time; time.sleep(.3)"), small("cat"), once=True)


async def test_a_service_that_ignores_the_signal_is_killed_after_its_patience(here: Site) -> None:
    async with supervised(here, small("deaf", DEAF, stop=Stop(patience=0.2), ready=printed)) as supervisor:
        await ready(supervisor)
    assert 0.2 <= supervisor.stop_seconds < 5


async def test_a_second_signal_does_not_wait_for_the_drain(here: Site) -> None:
    async with supervised(here, small("deaf", DEAF, stop=Stop(patience=60), ready=printed)) as supervisor:
        await ready(supervisor)
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: not supervisor.state().ready, within=5, what="stopping")
    assert supervisor.stop_seconds < 10


async def test_a_program_that_is_not_there_is_named(here: Site) -> None:
    ghost = Service(name="ghost", title="Ghost", command=lambda _: Command(("/nowhere/ghost",)))
    with pytest.raises(StackError, match="/nowhere/ghost is missing"):
        await run_out(here, small("cat"), ghost)


def test_a_full_disk_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 2**20}))
    with pytest.raises(StackError, match=r"The disk that holds .* is full"):
        open_site(tmp_path / "data", ports.block(20_000, {}), (), {}, durable=True)
