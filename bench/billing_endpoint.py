"""Bench 11, first part: Stripe's webhook beside a bare FastAPI route, and how soon it answers at a steady rate.

Both servers have the same core and the same events, and take turns; ratios are taken within a round. The workers stand
still meanwhile: what follows an event is measured in the second part, and is no part of answering it. The steady rate
is measured without them and with them: then everything shares the cores of one machine.
"""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from bench.load import Load
from bench.platform import Platform
from bench.processes import DRIVER_CORE, cpu_seconds, python, serving, start
from bench.stripe_events import PATH
from bench.stripe_shop import Cast

PETFOLIO, BARE = "petfolio", "bare FastAPI + asyncpg"
STEADY_RATE = 200.0
_WARM_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One server in one round. CPU milliseconds of an event, by who spent them."""

    per_second: float
    server_ms: float
    postgres_ms: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Server:
    """How one of the two is asked, and its process."""

    name: str
    url: str
    pid: int


Rounds = list[dict[str, Sample]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`fresh`: every event is new; `repeated`: half of them came before, as at the steady rate: there the two servers
    alone, and the platform's own while `busy` workers act on what it is told."""

    fresh: Rounds
    repeated: Rounds
    steady: dict[str, Load]
    busy: Load


@dataclass(frozen=True, slots=True)
class Driver:
    """Sends the events of a cast, from the driver's core."""

    cast: Path
    secret: str
    connections: int

    def drive(self, url: str, seconds: float, *, repeated: bool, rate: float = 0) -> Load:
        """Everything is answered 200, or the run is void."""
        size = ("--connections", str(self.connections), "--seconds", str(seconds), "--rate", str(rate))
        command = python("bench.stripe_events", url, str(self.cast), *size, *(["--repeated"] if repeated else []))
        said, _ = start(command, DRIVER_CORE, {"BENCH_SECRET": self.secret}).communicate()
        load = Load(**json.loads(said))
        if load.errors:
            raise SystemExit(f"{url}: {load.errors} of {load.requests} answers were not 200")
        return load


async def run(
    on: Platform, strangers: Cast, payers: Cast, rounds: int, seconds: float, connections: int, steady: float
) -> Endpoint:
    """So many rounds of so many seconds with either kind of events, and the steady rate for `steady` seconds. The
    strangers are many, so that nearly every event rings anew; workers are kept busy with the payers."""
    await _floor(on)
    services = (await on.stack.status())["services"]
    workers = [int(each["pid"]) for name, each in services.items() if name.startswith("worker-")]
    with TemporaryDirectory() as folder, ExitStack() as stack:
        driver = Driver(strangers.written(Path(folder)), on.env["PETFOLIO_STRIPE_WEBHOOK_SECRETS"], connections)
        servers = [stack.enter_context(_server(on, name, place)) for place, name in enumerate((PETFOLIO, BARE))]
        with standing_still(workers):
            fresh = await _rounds(on, driver, servers, rounds, seconds, repeated=False)
            repeated = await _rounds(on, driver, servers, rounds, seconds, repeated=True)
            evenly = {each.name: driver.drive(each.url, steady, repeated=True, rate=STEADY_RATE) for each in servers}
            await _forget(on)
        driver = replace(driver, cast=payers.written(Path(folder)))
        return Endpoint(fresh, repeated, evenly, driver.drive(_url(on), steady, repeated=True, rate=STEADY_RATE))


async def _rounds(
    on: Platform, driver: Driver, servers: Sequence[Server], rounds: int, seconds: float, *, repeated: bool
) -> Rounds:
    (postgres,) = await on.pids("postgres")
    for each in servers:
        driver.drive(each.url, _WARM_SECONDS, repeated=repeated)
    taken = []
    for number in range(rounds):
        await _forget(on)
        turn = servers if number % 2 else servers[::-1]
        taken.append({each.name: _measure(driver, each, postgres, seconds, repeated=repeated) for each in turn})
    await _forget(on)
    return taken


def _measure(driver: Driver, server: Server, postgres: int, seconds: float, *, repeated: bool) -> Sample:
    before = cpu_seconds([server.pid]), cpu_seconds([postgres])
    load = driver.drive(server.url, seconds, repeated=repeated)
    after = cpu_seconds([server.pid]), cpu_seconds([postgres])
    server_ms, postgres_ms = ((now - then) / load.requests * 1e3 for now, then in zip(after, before, strict=True))
    return Sample(load.requests / load.seconds, server_ms, postgres_ms, load.p50, load.p99)


def _url(on: Platform) -> str:
    return f"http://127.0.0.1:{on.env['PETFOLIO_API__PORT']}{PATH}"


@contextmanager
def _server(on: Platform, name: str, place: int) -> Iterator[Server]:
    port = str(int(on.env["PETFOLIO_API__PORT"]) + 90 + place)
    env = on.env | {"PETFOLIO_API__PORT": port, "BENCH_PORT": port}
    env |= {"BENCH_SECRET": on.env["PETFOLIO_STRIPE_WEBHOOK_SECRETS"]}
    command = python("api") if name == PETFOLIO else python("bench.peers.bare_stripe")
    with serving(command, env, f"http://127.0.0.1:{port}/healthz", "") as pid:
        yield Server(name, f"http://127.0.0.1:{port}{PATH}", pid)


@contextmanager
def standing_still(pids: Sequence[int]) -> Iterator[None]:
    """Their clocks go on, they do not."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def _floor(on: Platform) -> None:
    """The bare route's table."""
    await _execute(
        on,
        "CREATE TABLE IF NOT EXISTS bench_stripe_events"
        " (id text PRIMARY KEY, type text NOT NULL, received_at timestamptz NOT NULL DEFAULT clock_timestamp());"
        "GRANT SELECT, INSERT ON bench_stripe_events TO PUBLIC",
    )


async def _forget(on: Platform) -> None:
    """Every round begins with empty tables, and no worker finds what was only sent to be counted."""
    await _execute(
        on,
        "TRUNCATE bench_stripe_events, stripe_events;DELETE FROM outbox WHERE kind LIKE 'billing%' AND done_at IS NULL",
    )


async def _execute(on: Platform, statements: str) -> None:
    owner = await asyncpg.connect(on.env["PETFOLIO_MIGRATION_URL"], ssl=False)
    try:
        await owner.execute(statements)
    finally:
        await owner.close()
