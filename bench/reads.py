"""Bench 1: an authenticated `GET /pets/{id}` beside a bare floor and beside Express + Prisma.

Every round measures each server once, one after the other, so that all of them see the same machine; ratios are taken
within a round. The server has one core, the driver the other. Trust CPU per request: it is the steadier number.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from api.rate_limit import _SESSION_AND_LIMIT
from bench.platform import Platform
from bench.processes import DRIVER_CORE, ROOT, cpu_seconds, python, serving, start
from core.settings import RateLimit
from infra.node import install, node

PEER = ROOT / "bench/peers/express-prisma"
PETFOLIO, BARE, EXPRESS = "petfolio", "bare asgi + asyncpg", "express + prisma"


@dataclass(frozen=True, slots=True)
class Sample:
    """One server in one round."""

    per_second: float
    cpu_us: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Server:
    """How one of the three is started and asked."""

    name: str
    command: list[str]
    env: dict[str, str]
    cwd: Path
    url: str


Rounds = list[dict[str, Sample]]


async def run(on: Platform, rounds: int, seconds: float, connections: int) -> Rounds:
    """All servers are up the whole time; only one is asked at a time."""
    pet = (await on.owner.call("GET", f"/pets/{on.owner.pet_id}")).json()
    await _flat_table(on, pet)
    jwks = (await on.owner.client.get("/.well-known/jwks.json")).text
    base = int(on.env["PETFOLIO_API__PORT"]) + 90
    servers = list(_servers(on, base, jwks, pet))
    token = on.owner.access_token
    with ExitStack() as stack:
        pids = {
            each.name: stack.enter_context(serving(each.command, each.env, each.url, token, each.cwd))
            for each in servers
        }
        await _same_answer(on, servers, pet)
        for each in servers:
            _measure(each, pids[each.name], token, 1.0, connections)  # warm: caches, JIT, pools
        return [
            {each.name: _measure(each, pids[each.name], token, seconds, connections) for each in _turned(servers, n)}
            for n in range(rounds)
        ]


def _turned(servers: list[Server], n: int) -> list[Server]:
    n %= len(servers)
    return servers[n:] + servers[:n]


def _servers(on: Platform, base: int, jwks: str, pet: dict[str, Any]) -> Iterator[Server]:
    limit = RateLimit.model_validate_json(on.env["PETFOLIO_RATE_LIMITS__DEFAULT"])
    for port, name in enumerate((PETFOLIO, BARE, EXPRESS), base):
        env = on.env | {
            "PETFOLIO_API__PORT": str(port),
            "BENCH_PORT": str(port),
            "BENCH_USER_ID": pet["owner_id"],
            "BENCH_JWKS": jwks,
            "BENCH_SCRIPT": _SESSION_AND_LIMIT.source,
            "BENCH_LIMIT": f"{limit.quota} {limit.window} {limit.burst}",
            "NODE_ENV": "production",
        }
        command = {
            PETFOLIO: python("api"),
            BARE: python("bench.peers.bare_asgi"),
            EXPRESS: [node(), "server.mjs"],
        }[name]
        cwd = PEER if name == EXPRESS else ROOT
        yield Server(name, command, env, cwd, f"http://127.0.0.1:{port}/api/v1/pets/{pet['id']}")


def _measure(server: Server, pid: int, token: str, seconds: float, connections: int) -> Sample:
    before = cpu_seconds([pid])
    command = python("bench.load", server.url, "--seconds", str(seconds), "--connections", str(connections))
    driver = start(command, DRIVER_CORE, {"BENCH_TOKEN": token})
    out, _ = driver.communicate()
    load = json.loads(out)
    if load["errors"]:
        raise SystemExit(f"{server.name}: {load['errors']} of {load['requests']} answers were not 200")
    used = cpu_seconds([pid]) - before
    return Sample(load["requests"] / load["seconds"], used / load["requests"] * 1e6, load["p50"], load["p99"])


async def _same_answer(on: Platform, servers: list[Server], pet: dict[str, Any]) -> None:
    """The comparison is void unless the peer answers the same JSON."""
    for each in servers:
        answer = await on.owner.client.get(each.url, headers=on.owner.headers)
        if each.name != BARE and answer.json() != pet:
            raise SystemExit(f"{each.name} answers something else: {answer.text}")


async def _flat_table(on: Platform, pet: dict[str, Any]) -> None:
    """The peer's own table: one flat row in clear, filled from our answer."""
    owner = await asyncpg.connect(on.env["PETFOLIO_MIGRATION_URL"], ssl=False)
    try:
        await owner.execute(
            "CREATE TABLE bench_pets (id uuid PRIMARY KEY, owner_id uuid, owners uuid[], household_id uuid, name text,"
            " species text, breed text, is_mixed bool, sex text, neutered bool, date_of_birth text, dob_precision text,"
            " home_tzid text, weight_kg float8, weight jsonb, microchip_id text, microchips jsonb,"
            " profile_photo_url text, status text, created_at text, updated_at text, version int);"
            "GRANT SELECT ON bench_pets TO PUBLIC"
        )
        await owner.execute(
            "INSERT INTO bench_pets SELECT * FROM jsonb_populate_record(NULL::bench_pets, $1::jsonb)", _flat(pet)
        )
    finally:
        await owner.close()


def _flat(pet: dict[str, Any]) -> str:
    owners = "{" + ",".join(pet["owners"]) + "}"  # an array column reads its text form
    return json.dumps(pet | {"owners": owners})


def install_peer() -> None:
    """Its packages and the Prisma client, once. Generating asks for an engine that this version never runs."""
    if (PEER / "node_modules/.prisma/client/index.js").exists():
        return
    install(PEER)
    offline = {"PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true", "CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1"}
    path = f"{Path(node()).parent}{os.pathsep}{os.environ['PATH']}"
    generate = [str(PEER / "node_modules/.bin/prisma"), "generate"]
    subprocess.run(generate, cwd=PEER, env={**os.environ, **offline, "PATH": path}, check=True)


def ratio(rounds: Sequence[Mapping[str, object]], quantity: str, of: str, to: str) -> float:
    """The median over the rounds of `of` / `to`."""
    return median(float(getattr(each[of], quantity) / getattr(each[to], quantity)) for each in rounds)


def typical(rounds: Sequence[Mapping[str, object]], name: str, quantity: str) -> float:
    """The median over the rounds."""
    return median(float(getattr(each[name], quantity)) for each in rounds)
