"""Must hold: whatever dies while five hundred reminders fall due at once, each is handed over, and once.

See temporal.md §8.2.
"""

import asyncio
import time

import httpx
import pytest

from core.settings import WorkerSettings
from temporal.policies import PROVIDER_CALL
from tests.faults.ledger import Ledger
from tests.person import Person, sign_up, soon
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(240)
PEOPLE, EACH = 5, 100


async def test_worker_temporal_and_api_killed_in_a_burst_of_five_hundred_lose_none_and_repeat_none(
    stack: Stack, client: httpx.AsyncClient, inbox: Inbox, ledger: Ledger
) -> None:
    began = time.monotonic()
    people = [await sign_up(client, inbox) for _ in range(PEOPLE)]
    pace = time.monotonic() - began  # of this machine today: asking for all of them takes some five times as long
    due = soon(2 + 8 * pace)

    async def ask(person: Person, who: int) -> None:
        for n in range(EACH):
            await ledger.remind(person, f"burst-{who}-{n:02}", due)

    await asyncio.gather(*(ask(person, who) for who, person in enumerate(people)))
    assert soon(0) <= due, "the burst must not begin before everything is asked for"

    async def fired() -> int:
        return sum([len(await inbox.messages(person.email)) for person in people]) - PEOPLE  # their first mails

    async def some_fired(share: float) -> bool:
        return await fired() >= share * PEOPLE * EACH

    await until(lambda: some_fired(0.1), within=60, what="the burst has begun")
    began = time.monotonic()
    await stack.kill_and_wait("worker-core")
    assert await fired() < PEOPLE * EACH
    await stack.kill_and_wait("temporal")
    assert await fired() < PEOPLE * EACH
    await stack.kill_and_wait("api")
    outage = time.monotonic() - began
    verdict = await ledger.outcome(stack, inbox, *people, within=120)
    assert (verdict.accepted, verdict.lost, verdict.duplicates) == (PEOPLE * EACH, [], [])
    assert verdict.ambiguous <= WorkerSettings().max_concurrent_activities
    attempt = PROVIDER_CALL["start_to_close_timeout"].total_seconds()
    assert verdict.late.max <= attempt + outage + 10
