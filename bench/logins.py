"""Bench 8: logins per second beside the raw hash rate of the same machine.

The raw rate is a process that only hashes, with as many threads as the api's pool; a login is one verification of the
same parameters and everything around it: limits, counters, session, audit entry, tokens. They take turns. Enough
clients ask at once for the pool never to be idle, and few enough for its queue never to be full.
"""

import asyncio
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

import httpx

from api.passwords import Passwords
from bench.platform import Platform
from bench.processes import cpu_seconds, python
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
    hash_ms: float


async def run(on: Platform, rounds: int) -> Logins:
    """The median round. Every client has an account of its own: failures and sessions of one are a queue of rows."""
    async with httpx.AsyncClient(base_url=on.env["PETFOLIO_PUBLIC_URL"], timeout=60) as api:
        inbox_url = (await on.stack.status())["inbox_url"]
        async with httpx.AsyncClient(base_url=inbox_url, timeout=60) as inbox:
            people = [await sign_up(api, Inbox(inbox)) for _ in range(CLIENTS)]
        (api_pid,), (postgres_pid,) = await on.pids("api"), await on.pids("postgres")
        await _logins(api, [person.email for person in people], 2.0)
        taken = []
        for _ in range(rounds):
            hashes, hash_ms = _raw()
            before = cpu_seconds([api_pid]), cpu_seconds([postgres_pid])
            count, seconds = await _logins(api, [person.email for person in people], _TURN_SECONDS)
            spent = cpu_seconds([api_pid]) - before[0], cpu_seconds([postgres_pid]) - before[1]
            each = tuple(part / count * 1e3 for part in spent)
            taken.append((count / seconds, hashes, count / seconds / hashes, *each, hash_ms))
    return Logins(*(median(column) for column in zip(*taken, strict=True)))


async def _logins(api: httpx.AsyncClient, emails: list[str], seconds: float) -> tuple[int, float]:
    """(logins, seconds): each client signs in again as soon as it is signed in."""
    started, done = time.monotonic(), 0

    async def client(email: str) -> None:
        nonlocal done
        while time.monotonic() - started < seconds:
            answer = await api.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            done += 1

    await asyncio.gather(*(client(email) for email in emails))
    return done, time.monotonic() - started


def _raw() -> tuple[float, float]:
    """(hashes per second, CPU milliseconds of one) of a process of its own."""
    run = subprocess.run(python("bench.logins"), capture_output=True, text=True, check=True)
    per_second, ms = run.stdout.split()
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
