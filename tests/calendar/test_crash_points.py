"""Must hold: a process that dies at a hundred points of a mixed load on all three providers loses and doubles nothing.

One person with three calendars; they and their three providers create, edit and delete. Each sync is a process that may
die after any commit or any remote write, and the next one begins where that left the rows and the calendars. The same
with a real process and SIGKILL: `tests/faults/test_calendar_worker_killed.py`.
"""

import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID

import pytest

from domain.calendar import Event
from tests.calendar.accounts import Account
from tests.calendar.conftest import OpenAccount
from tests.calendar.edits import FIELDS, Verdict
from tests.calendar.home import an_event
from tests.calendar.load import Found, Load, fought_for, logged_words

pytestmark = pytest.mark.timeout(180)
CRASHES, MOST_RUNS = 100, 600
LONGEST_RUN = 8
"""Steps after which a process dies at the latest."""
EVENTS = 9
BACKENDS = {"google": "google", "microsoft": "microsoft", "caldav": "radicale"}


@dataclass(frozen=True, slots=True)
class Here:
    """Where the person edits in Petfolio: between two runs of the sync, which so cannot be quicker."""

    account: Account

    async def events(self) -> Sequence[Found]:
        return [_found(str(which), event) for which, event in (await self.account.here()).items()]

    async def create(self, title: str) -> None:
        await self.account.create(an_event(title))

    async def edit(self, seen: Found, name: str, text: str) -> bool:
        await self.account.home.edit(UUID(seen.id), **{name: text})
        return True

    async def delete(self, seen: Found) -> bool:
        await self.account.home.delete(UUID(seen.id))
        return True


@dataclass(frozen=True, slots=True)
class There:
    """The same at a provider. Nobody deletes there while a create is unanswered: an event that was made and deleted
    again before we asked looks like one that was never made, and is made once more."""

    account: Account

    async def events(self) -> Sequence[Found]:
        return [_found(which, event) for which, event in (await self.account.there()).items()]

    async def create(self, title: str) -> None:
        await self.account.remote_create(an_event(title))

    async def edit(self, seen: Found, name: str, text: str) -> bool:
        await self.account.remote_edit(seen.id, **{name: text})
        return True

    async def delete(self, seen: Found) -> bool:
        links = await self.account.home.links("remote_id", "intent_ct")
        if any(link.remote_id is None and link.intent_ct for link in links):
            return False
        await self.account.remote_delete(seen.id)
        return True


def _found(which: str, event: Event) -> Found:
    return Found(which, "", {name: getattr(event, name) for name in FIELDS})


@pytest.fixture
async def accounts(open_account: OpenAccount) -> AsyncIterator[Mapping[str, Account]]:
    """One person at all three, who has said that many deletions are meant."""
    async with AsyncExitStack() as stack:
        opened: dict[str, Account] = {}
        for name, backend in BACKENDS.items():
            home = opened["google"].home.home if opened else None
            opened[name] = await stack.enter_async_context(open_account(backend, home))
            opened[name].home.confirmed = True
        yield opened


async def dies(account: Account, load: Load, where: str) -> bool:
    """A run of a process that dies soon; now and then somebody is quicker than its first write."""

    async def quicker() -> None:
        await load.something(load.dice.choice(("here", where)))

    crash_at = load.dice.randint(1, LONGEST_RUN)
    before = quicker if load.dice.random() < 0.25 else None
    await account.try_to_sync(crash_at=crash_at, before=before)
    return account.watched.steps.count == crash_at


async def conflicts(accounts: Mapping[str, Account]) -> list[Mapping[str, object]]:
    """The conflict log, opened."""
    home = accounts["google"].home.home
    query = "SELECT id, values_ct, winner FROM calendar_conflicts WHERE calendar_link_id = ANY(:links)"
    rows = await home.rows(query, links=[account.home.link_id for account in accounts.values()])
    opened = [await home.cipher.open("calendar_conflicts.values_ct", row.id, row.values_ct) for row in rows]
    return [json.loads(values) | {"winner": row.winner} for row, values in zip(rows, opened, strict=True)]


async def test_a_process_that_dies_at_a_hundred_points_loses_and_doubles_nothing(
    accounts: Mapping[str, Account],
) -> None:
    places = {"here": Here(accounts["google"])} | {name: There(account) for name, account in accounts.items()}
    load = Load(places, random.Random(5), most=EVENTS, deletions=100)
    crashes = 0
    for _ in range(MOST_RUNS):
        for _ in range(load.dice.randint(1, 2)):
            await load.anywhere()
        where = load.dice.choice(list(accounts))
        crashes += await dies(accounts[where], load, where)
        if crashes == CRASHES:
            break
    assert crashes == CRASHES
    for _ in range(4):  # what one calendar says reaches the others with their next look
        for account in accounts.values():
            await account.sync()
    logged = logged_words(await conflicts(accounts))
    assert await load.verdict(logged) == Verdict()
    assert not fought_for(logged)
    for account in accounts.values():
        assert await account.writes(account.sync()) == 0
