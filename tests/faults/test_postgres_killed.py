"""Must hold: SIGKILL of the Postgres postmaster under load loses no acknowledged row and never answers 500 (F5)."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.faults.ledger import Ledger
from tests.person import Person, soon
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(240)


async def test_postgres_killed_under_load_keeps_every_acknowledged_row_and_answers_503_meanwhile(
    stack: Stack, person: Person, client: httpx.AsyncClient, ledger: Ledger
) -> None:
    far = soon(86_400)
    stop = asyncio.Event()

    async def keep_asking(name: str) -> None:
        n = 0
        while not stop.is_set() and n < 2_000:
            title = f"{name}-{n:04}"
            answer = await ledger.ask(title, person.remind(due=far, title=title))
            n += 1
            if answer is not None and answer.is_error:  # a client that does as it is told, or the limit would be hit
                await asyncio.sleep(float(answer.headers["Retry-After"]))

    async with asyncio.TaskGroup() as load:
        for k in range(4):
            load.create_task(keep_asking(f"load{k}"))
        await until(lambda: len(ledger.accepted()) >= 20, within=30, what="load is running")
        await stack.kill("postgres")
        await until(lambda: ledger.statuses()[503] >= 1, within=30, what="the api noticed")

        async def accepts_connections() -> bool:
            return bool((await stack.status())["services"]["postgres"]["state"] == "running")

        await until(accepts_connections, within=90, what="postgres is back")
        back = time.monotonic()
        before = len(ledger.accepted())
        await until(lambda: len(ledger.accepted()) > before, within=10, what="the api serves again by itself")
        assert time.monotonic() - back <= 10
        stop.set()

    assert set(ledger.statuses()) <= {201, 503, None}, Counter(ledger.statuses())
    titles = await person.titles()
    assert [title for title in ledger.accepted() if title not in titles] == []


async def test_what_falls_due_while_postgres_is_dead_fires_once_when_it_is_back(
    stack: Stack, person: Person, inbox: Inbox, ledger: Ledger
) -> None:
    first = soon(10)
    due = [first + timedelta(seconds=n) for n in range(4)]
    for n, each in enumerate(due):
        await ledger.remind(person, f"dead-{n}", each)
    pid = await stack.pid("postgres")
    at = first - timedelta(seconds=0.5)
    await until(lambda: datetime.now(UTC) >= at, within=15, what="half a second is left")
    died = datetime.now(UTC)
    await stack.kill_and_wait("postgres", pid=pid)
    back = datetime.now(UTC)
    assert died < first < back, "one was sent before, or none fell due while it was dead"

    async def served_again() -> bool:
        return (await person.remind(due=soon(86_400))).status_code == 201

    await until(served_again, within=10, what="the api serves again by itself")
    verdict = await ledger.outcome(stack, inbox, person, within=60)
    assert (verdict.accepted, verdict.lost, verdict.duplicates) == (len(due), [], [])
    # What was sent and could not be noted, on a connection that had died unnoticed, comes again under its own id.
    assert verdict.ambiguous <= 1
    assert verdict.late.max <= (back - died).total_seconds() + 10
