"""Bench 8: logins per second beside the raw hash rate of the same cores.

The raw rate is a process that only hashes, with as many threads as the api's pool; a login is one verification of the
same parameters and everything around it: limits, counters, session, audit entry, tokens. They take turns, on a core of
their own (as bench 1: the rest has the others), and on all cores with everything else. Enough clients ask at once for
the pool never to be idle, and few enough for its queue never to be full.
"""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from statistics import median

import httpx

from api.passwords import Passwords
from bench import load
from bench.platform import Platform
from bench.processes import SERVER_CORE, cpu_seconds, python, serving, start
from tests.person import PASSWORD, sign_up
from tests.stack import Inbox

CLIENTS = 8
_TURN_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Logins:
    """Per second; `ratio` is taken within a round. CPU milliseconds of one login, by who spent them."""

    per_second: float
    hashes: float
    ratio: float
    api_ms: float
    postgres_ms: float
    redis_ms: float
    hash_ms: float


async def run(on: Platform, rounds: int) -> tuple[Logins, Logins]:
    """On a core of their own, and on shared ones; of each the median round. Every client has an account of its own:
    failures and sessions of one are a queue of rows."""
    async with httpx.AsyncClient(base_url=on.env["PETFOLIO_PUBLIC_URL"], timeout=60) as api:
        inbox_url = (await on.stack.status())["inbox_url"]
        async with httpx.AsyncClient(base_url=inbox_url, timeout=60) as inbox:
            people = [await sign_up(api, Inbox(inbox)) for _ in range(CLIENTS)]
    requests = [_login(person.email) for person in people]
    port = int(on.env["PETFOLIO_API__PORT"]) + 90
    own = f"http://127.0.0.1:{port}"
    with serving(python("api"), on.env | {"PETFOLIO_API__PORT": str(port)}, f"{own}/healthz", "") as pid:
        alone = await _rounds(on, rounds, own, [pid], requests, SERVER_CORE)
    shared = await _rounds(on, rounds, on.env["PETFOLIO_PUBLIC_URL"], await on.pids("api"), requests, None)
    return alone, shared


async def _rounds(
    on: Platform, rounds: int, api: str, pids: list[int], requests: list[bytes], core: int | None
) -> Logins:
    url, roles = f"{api}/api/v1/auth/login", [pids, *[await on.pids(service) for service in ("postgres", "redis")]]
    await load.press(url, [repeat(each) for each in requests], 2.0)
    taken = []
    for _ in range(rounds):
        hashes, hash_ms = _raw(core)
        before = [cpu_seconds(pids) for pids in roles]
        done = await load.press(url, [repeat(each) for each in requests], _TURN_SECONDS)
        assert done.errors == 0, f"{done.errors} of {done.requests} logins were refused"
        spent = [cpu_seconds(pids) - then for pids, then in zip(roles, before, strict=True)]
        each = [part / done.requests * 1e3 for part in spent]
        per_second = done.requests / done.seconds
        taken.append((per_second, hashes, per_second / hashes, *each, hash_ms))
    return Logins(*(median(column) for column in zip(*taken, strict=True)))


def _login(email: str) -> bytes:
    """Signing in, as a client without a library sends it."""
    body = json.dumps({"email": email, "password": PASSWORD}).encode()
    head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _raw(core: int | None) -> tuple[float, float]:
    """(hashes per second, CPU milliseconds of one) of a process of its own."""
    said, _ = start(python("bench.logins"), core, {}).communicate()
    per_second, ms = said.split()
    return float(per_second), float(ms)


def hash_for(seconds: float, threads: int) -> tuple[float, float]:
    """Verify one password over and over, in as many threads as the api has."""
    passwords = Passwords(workers=1, queue=1)
    stored, done = asyncio.run(passwords.hash(PASSWORD)), 0
    started, used = time.monotonic(), time.process_time()

    def work(_: int) -> int:
        count = 0
        while time.monotonic() - started < seconds:
            passwords._verify(stored, PASSWORD)
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, range(threads)))
    passwords.close()
    return done / (time.monotonic() - started), (time.process_time() - used) / done * 1e3


if __name__ == "__main__":
    print(*hash_for(_TURN_SECONDS, threads=2))
