"""Must hold: a process that dies at a hundred points of a mixed load on all three providers loses and doubles nothing.

One person with three calendars; they and their three providers create, edit and delete. Each sync is a process that may
die after any commit or any remote write, and the next one begins where that left the rows and the calendars. The same
with a real process and SIGKILL: `tests/faults/test_calendar_worker_killed.py`.
"""

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from domain.calendar import Event
from tests.calendar.accounts import Account
from tests.calendar.conftest import ACCOUNTS, OpenAccount
from tests.calendar.edits import FIELDS, Edits, Texts, Verdict, keys_in, words_in
from tests.calendar.home import an_event

pytestmark = pytest.mark.timeout(180)
CRASHES, MOST_ROUNDS = 100, 600
LONGEST_RUN = 8
"""Steps after which a process dies at the latest."""
EVENTS = 9
OWNERS: Mapping[str, tuple[str, ...]] = {"title": ("here",), "location": ("google",), "notes": ("microsoft", "radicale")}
"""Who edits which field of an event that nobody fights for."""


def is_peaceful(key: str) -> bool:
    """Every third event is edited at all places, but each field at one alone; and is never deleted."""
    return int(key[1:]) % 3 == 0


def owner(key: str, name: str) -> str:
    """Who edits this field of such an event."""
    return OWNERS[name][int(key[1:]) % 2 % len(OWNERS[name])]


def texts(event: Event) -> Texts:
    return {name: getattr(event, name) for name in FIELDS}


@dataclass
class Load:
    """What people do, at four places, and the account of it."""

    accounts: Mapping[str, Account]
    dice: random.Random
    edits: Edits = field(default_factory=Edits)
    crashes: int = 0

    @property
    def here(self) -> Account:
        """Whichever: they have one home."""
        return self.accounts["google"]

    async def found(self, place: str) -> list[tuple[object, Event]]:
        """The events of a place, by their ids."""
        if place == "here":
            return list((await self.here.here()).items())
        return list((await self.accounts[place].there()).items())

    async def something(self, place: str) -> None:
        """Somebody does something there."""
        events = await self.found(place)
        if len(events) < EVENTS and (not events or self.dice.random() < 0.3):
            return await self.create(place)
        which, event = self.dice.choice(events)
        (key,) = keys_in(texts(event))
        if not is_peaceful(key) and self.dice.random() < 0.15:
            return await self.delete(place, which, key, event)
        names = [name for name in FIELDS if not is_peaceful(key) or owner(key, name) == place]
        if names:
            await self.edit(place, which, key, event, self.dice.choice(names))

    async def create(self, place: str) -> None:
        word = self.edits.word(self.edits.new_event())
        if place == "here":
            await self.here.create(an_event(word))
        else:
            await self.accounts[place].remote_create(an_event(word))
        self.edits.wrote(word)

    async def edit(self, place: str, which: object, key: str, event: Event, name: str) -> None:
        word = self.edits.word(key)
        if place == "here":
            await self.here.home.edit(which, **{name: word})  # type: ignore[arg-type]
        else:
            await self.accounts[place].remote_edit(str(which), **{name: word})
        self.edits.wrote(word, over=getattr(event, name))

    async def delete(self, place: str, which: object, key: str, event: Event) -> None:
        if place == "here":
            await self.here.home.delete(which)  # type: ignore[arg-type]
        else:
            await self.accounts[place].remote_delete(str(which))
        self.edits.removed(key, texts(event))

    async def sync(self, place: str) -> None:
        """By a process that dies soon; now and then somebody is quicker than its first write."""
        account = self.accounts[place]

        async def quicker() -> None:
            await self.something(self.dice.choice(("here", place)))

        before = quicker if self.dice.random() < 0.25 else None
        crash_at = self.dice.randint(1, LONGEST_RUN)
        await account.try_to_sync(crash_at=crash_at, before=before)
        self.crashes += account.watched.steps.count == crash_at

    async def conflicts(self) -> list[Mapping[str, object]]:
        """The conflict log, opened."""
        home = self.here.home.home
        query = "SELECT id, values_ct FROM calendar_conflicts WHERE calendar_link_id = ANY(:links)"
        found = await home.rows(query, links=[account.home.link_id for account in self.accounts.values()])
        opened = [await home.cipher.open("calendar_conflicts.values_ct", row.id, row.values_ct) for row in found]
        return [json.loads(each) for each in opened]


@pytest.fixture
async def accounts(open_account: OpenAccount) -> AsyncIterator[Mapping[str, Account]]:
    """One person at all three; they have said that many deletions are meant."""
    async with AsyncExitStack() as stack:
        opened: dict[str, Account] = {}
        for name in ACCOUNTS:
            home = opened["google"].home.home if opened else None
            opened[name] = await stack.enter_async_context(open_account(name, home))
            opened[name].home.confirmed = True
        yield opened


@pytest.mark.parametrize("seed", [5])
async def test_a_process_that_dies_at_a_hundred_points_loses_and_doubles_nothing(
    accounts: Mapping[str, Account], seed: int
) -> None:
    load = Load(accounts, random.Random(seed))
    places = ("here", *accounts)
    for _ in range(MOST_ROUNDS):
        for _ in range(load.dice.randint(1, 3)):
            await load.something(load.dice.choice(places))
        await load.sync(load.dice.choice(list(accounts)))
        if load.crashes >= CRASHES:
            break
    assert load.crashes >= CRASHES
    for _ in range(4):  # what one calendar says reaches the others with their next look
        for account in accounts.values():
            await account.sync()
    log = await load.conflicts()
    logged = [words_in(str(value) for value in entry.values()) for entry in log]
    found = {place: [texts(event) for _, event in await load.found(place)] for place in places}
    assert load.edits.verdict(found, set().union(*logged)) == Verdict()
    assert not any(is_peaceful(word.partition("-")[0]) for words in logged for word in words)
    for account in accounts.values():
        assert await account.writes(account.sync()) == 0
