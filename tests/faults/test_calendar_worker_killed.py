"""Must hold: whatever moment the calendar worker dies at, both sides agree afterwards, nothing twice, no edit lost.

One person edits the same events in Petfolio, at Google, in Outlook and on a CalDAV server; the worker that keeps them
in step is killed at random moments. A hundred points inside one process: `tests/calendar/test_crash_points.py`.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests.calendar.edits import Verdict
from tests.calendar.load import Load, fought_for, logged_words
from tests.conftest import EXPLORE
from tests.faults.calendars import Calendars, three_calendars
from tests.person import Person
from tests.stack import Stack, until

KILLS = 100 if EXPLORE else 5
APART = 12.2 if KILLS > 5 else 4.0
"""Seconds between two kills: the supervisor gives a service up that ends more than five times in a minute."""
SIGNED_IN = 300.0
"""Seconds, within those that an access token holds."""
pytestmark = pytest.mark.timeout(180 + KILLS * 30)


@pytest.fixture
async def calendars(stack: Stack, person: Person) -> AsyncIterator[Calendars]:
    async with three_calendars(stack, person) as connected:
        yield connected


async def test_a_worker_killed_at_random_moments_loses_and_doubles_nothing(
    stack: Stack, calendars: Calendars, record_property: Callable[[str, object], None]
) -> None:
    load = Load(calendars.places, random.Random(5), most=15, deletions=5)
    over = asyncio.Event()
    people = asyncio.create_task(edit_until(over, load, calendars))
    for _ in range(KILLS):
        pause = asyncio.create_task(asyncio.sleep(APART))
        await asyncio.sleep(load.dice.uniform(0, 3))  # any moment is meant
        await stack.kill_and_wait("worker-calendar")
        await pause
    over.set()
    await people
    began = time.monotonic()
    await agreement(load, calendars, within=90)
    record_property("seconds until both sides agreed", time.monotonic() - began)
    record_property("words", load.edits.words)
    logged = logged_words(await calendars.log())
    assert await load.verdict(logged) == Verdict()
    assert not fought_for(logged)


async def edit_until(over: asyncio.Event, load: Load, calendars: Calendars) -> None:
    """People do something about twice a second, and ask for a sync now and then."""
    signed_in = time.monotonic()
    while not over.is_set():
        if time.monotonic() - signed_in > SIGNED_IN:
            await calendars.person.login()
            signed_in = time.monotonic()
        await load.anywhere()
        if load.dice.random() < 0.3:
            await calendars.sync_now()
        await asyncio.sleep(load.dice.uniform(0.1, 0.6))


async def agreement(load: Load, calendars: Calendars, within: float) -> None:
    """Every calendar was looked at in peace, and what came of it has reached the others; nothing moves any more."""

    async def still() -> bool:
        await calendars.settled(within)
        before = [await place.events() for place in load.places.values()]
        await calendars.settled(within)
        return before == [await place.events() for place in load.places.values()]

    await until(still, within=within, what="nothing moves any more")
