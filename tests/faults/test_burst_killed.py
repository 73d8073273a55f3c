"""Must hold: whatever dies while five hundred reminders fall due at once, each is handed over, and once.

See temporal.md §8.2.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from core.settings import WorkerSettings
from tests.faults.ledger import Ledger
from tests.person import Person, sign_up, soon
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(240)
PEOPLE, EACH = 5, 100


async def test_worker_temporal_and_api_killed_in_a_burst_of_five_hundred_lose_none_and_repeat_none(
    stack: Stack,
    client: httpx.AsyncClient,
    inbox: Inbox,
    ledger: Ledger,
    record_property: Callable[[str, object], None],
) -> None:
    people = [await sign_up(client, inbox) for _ in range(PEOPLE)]
    due: set[datetime] = set()

    async def ask(person: Person, who: int) -> None:
        for n in range(EACH):
            due.add(slot := next_slot())
            await ledger.remind(person, f"burst-{who}-{n:02}", slot)

    await asyncio.gather(*(ask(person, who) for who, person in enumerate(people)))

    async def fired() -> int:
        return sum([len(await inbox.messages(person.email)) for person in people]) - PEOPLE  # their first mails

    await until(lambda: datetime.now(UTC) > max(due) + timedelta(seconds=1), within=60, what="the burst has begun")
    began = time.monotonic()
    for service in ("worker-core", "temporal", "api"):
        assert await fired() < PEOPLE * EACH
        await stack.kill_and_wait(service)
    outage = time.monotonic() - began
    verdict = await ledger.outcome(stack, inbox, *people, within=120)
    assert (verdict.accepted, verdict.lost, verdict.duplicates) == (PEOPLE * EACH, [], [])
    assert verdict.ambiguous <= WorkerSettings().max_concurrent_activities
    record_property("seconds until all were back", outage)
    record_property("late", verdict.late)  # mostly the machine's own pace


def next_slot() -> datetime:
    """The next third of a minute that is still far enough away to be asked for: one for all of them, unless the machine
    is slow."""
    earliest = soon(6).timestamp()
    return datetime.fromtimestamp(earliest - earliest % 20 + 20, UTC)
