"""`python -m workers`: what a supervisor sees of it."""

import asyncio
import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from core.settings import Settings
from infra.local import ports
from temporal import ids
from tests.relay.kit import environment, until
from tests.services import PostgresServer, TemporalServer


async def run(settings: Settings, *arguments: str, **env: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "workers", *arguments, env=environment(settings, **env), stdout=asyncio.subprocess.PIPE
    )


async def lines(process: asyncio.subprocess.Process) -> list[dict[str, object]]:
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return [json.loads(line) for line in out.splitlines()]


async def status(port: int, path: str) -> int:
    def ask() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    return await asyncio.to_thread(ask)


def free_port() -> int:
    return next(port for port in range(22_150, 22_199) if ports.is_free(port))


@asynccontextmanager
async def core_worker(settings: Settings, health: int, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await run(settings, "core", PETFOLIO_WORKER__HEALTH_PORT=str(health), **env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def temporal(tmp_path: Path) -> AsyncIterator[TemporalServer]:
    """A server of the test's own, not started."""
    server = TemporalServer(tmp_path)
    yield server
    await server.stop()


@pytest.fixture
def fresh(settings: Settings, postgres_server: PostgresServer, tmp_path: Path, temporal: TemporalServer) -> Settings:
    """An installation nobody has set up yet."""
    name = postgres_server.create_database()
    return settings.model_copy(
        update={
            "database_url": type(settings.database_url)(postgres_server.url(name)),
            "migration_url": type(settings.database_url)(postgres_server.owner_url(name)),
            "keys": settings.keys.model_copy(update={"directory": tmp_path / "keys"}),
            "temporal_address": temporal.address,
        }
    )


async def test_setup_prepares_an_empty_installation_and_may_run_again(
    fresh: Settings, temporal: TemporalServer
) -> None:
    await temporal.start()
    first, again = await run(fresh, "setup"), await run(fresh, "setup")
    logs = await asyncio.gather(lines(first), lines(again))
    assert (first.returncode, again.returncode) == (0, 0), logs
    client = await Client.connect(fresh.temporal_address, namespace="petfolio")
    described = await client.get_schedule_handle(ids.job("reconcile")).describe()
    assert described.schedule.policy.overlap.name == "SKIP"

    health = free_port()
    # A collector that nobody runs costs spans, nothing else.
    async with core_worker(fresh, health, PETFOLIO_OTLP_ENDPOINT="http://127.0.0.1:9") as worker:
        await until(lambda: is_status(health, "/readyz", 200))
        assert await status(health, "/healthz") == 200
        assert await status(health, "/metrics") == 200
        assert await status(health, "/anything") == 404
        await until(lambda: reconciled(client))
        worker.send_signal(signal.SIGTERM)
        shown = await lines(worker)
    assert worker.returncode == 0
    own = [
        line["event"] for line in shown if line["module"] == "workers.process" or line["module"] == "workers.lifecycle"
    ]
    assert own == ["polling", "draining", "stopped"]


STRIPE = {"PETFOLIO_STRIPE_API_KEY": "sk_test_1", "PETFOLIO_STRIPE_WEBHOOK_SECRETS": "whsec_1"}
BILLING_JOBS = ("billing-sweep", "billing-events", "billing-reconcile", "billing-ledger")


async def test_the_jobs_of_billing_begin_with_a_key_and_end_without(fresh: Settings, temporal: TemporalServer) -> None:
    """A job that nobody runs would be started once, and wait for ever."""
    await temporal.start()
    jobs = []
    for env in ({}, STRIPE, STRIPE, {}):
        setup = await run(fresh, "setup", **env)
        logs = await lines(setup)
        assert setup.returncode == 0, logs
        client = await Client.connect(fresh.temporal_address, namespace="petfolio")
        jobs.append([await has_schedule(client, name) for name in BILLING_JOBS])
    assert jobs == [[False] * 4, [True] * 4, [True] * 4, [False] * 4]


async def test_a_worker_of_billing_without_a_key_is_ready_and_serves_nothing(
    fresh: Settings, temporal: TemporalServer
) -> None:
    await temporal.start()
    await lines(await run(fresh, "setup"))
    health = free_port()
    worker = await run(fresh, "billing", PETFOLIO_WORKER__HEALTH_PORT=str(health))
    try:
        await until(lambda: is_status(health, "/readyz", 200))
        worker.send_signal(signal.SIGTERM)
        (polling,) = [line for line in await lines(worker) if line["event"] == "polling"]
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    assert (worker.returncode, polling["queues"]) == (0, [])


async def has_schedule(client: Client, job: str) -> bool:
    try:
        await client.get_schedule_handle(ids.job(job)).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def test_a_worker_without_setup_says_what_to_do(fresh: Settings) -> None:
    process = await run(fresh, "core")
    shown = await lines(process)
    assert process.returncode == 1
    assert "run `python -m workers setup`" in str(shown[-1]["error"])


@pytest.mark.parametrize("process", ["workers core", "api"])
async def test_a_missing_setting_is_named_in_one_sentence(settings: Settings, process: str) -> None:
    environ = environment(settings, PETFOLIO_WORKER__HEALTH_PORT="soon")
    del environ["PETFOLIO_DATABASE_URL"]
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *process.split(), env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, shown = await asyncio.wait_for(started.communicate(), 60)
    assert started.returncode == 1
    assert shown.decode().splitlines() == [
        "Petfolio cannot start. Check PETFOLIO_DATABASE_URL (missing), PETFOLIO_WORKER__HEALTH_PORT (int_parsing)."
    ]


async def test_a_worker_waits_for_temporal_and_is_ready_once_it_serves(
    settings: Settings, temporal: TemporalServer
) -> None:
    await temporal.start()
    await temporal.kill()
    health = free_port()
    async with core_worker(settings.model_copy(update={"temporal_address": temporal.address}), health) as worker:
        await until(lambda: is_status(health, "/readyz", 503))
        await temporal.start()
        await until(lambda: is_status(health, "/readyz", 200))
        worker.send_signal(signal.SIGTERM)
        await lines(worker)
    assert worker.returncode == 0


async def test_a_worker_asked_to_stop_while_temporal_is_away_stops(settings: Settings) -> None:
    health = free_port()
    async with core_worker(settings.model_copy(update={"temporal_address": "127.0.0.1:9"}), health) as worker:
        await until(lambda: is_status(health, "/readyz", 503))
        worker.send_signal(signal.SIGTERM)
        shown = await lines(worker)
    assert worker.returncode == 0
    assert shown[-1]["event"] == "stopped"


async def is_status(port: int, path: str, wanted: int) -> bool:
    return await status(port, path) == wanted


async def reconciled(client: Client) -> bool:
    found = [run async for run in client.list_workflows("WorkflowType = 'ReconcileWorkflow'")]
    return any(run.status is not None and run.status.name == "COMPLETED" for run in found)
