"""Whatever people do on both sides of a real account, and wherever the sync dies: INV1 to INV5 (calendar-sync.md §9
S39). The same actions as in the model, on the real rows, through the real adapters, against the local servers.

`PETFOLIO_EXPLORE=1` runs a thousand scripts per provider that nobody has seen, `PETFOLIO_EXAMPLES` another number.
"""

import os
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.calendar import Event
from tests.calendar.accounts import Account
from tests.calendar.conftest import ACCOUNTS, OpenAccount
from tests.calendar.home import an_event
from tests.calendar.test_sync_model import CRASH, NUMBER, OURS, REMOTE_FIELDS, THEIRS, edits
from tests.conftest import EXPLORE

EXAMPLES = int(os.environ.get("PETFOLIO_EXAMPLES", 1_000 if EXPLORE else 5))
FIELDS = {name: values for name, values in REMOTE_FIELDS.items() if name != "alarms"}
Script = list[tuple[Any, ...]]
STEPS = st.one_of(
    st.tuples(st.just("create"), edits(FIELDS)),
    st.tuples(st.just("edit"), NUMBER, edits(FIELDS)),
    st.tuples(st.just("delete"), NUMBER),
    st.tuples(st.just("remote_create"), edits(FIELDS)),
    st.tuples(st.just("remote_edit"), NUMBER, edits(FIELDS)),
    st.tuples(st.just("remote_delete"), NUMBER),
    st.tuples(st.just("remote_copy"), NUMBER),
    st.tuples(st.just("expire")),
    st.tuples(st.just("sync"), CRASH),
    st.tuples(st.just("lose_answer"), st.sampled_from(["before", "after"])),
    st.tuples(st.just("sync_raced"), CRASH, NUMBER, edits(FIELDS)),
    st.tuples(st.just("sync_overtaken"), CRASH, NUMBER, edits(FIELDS)),
)


def nth(number: int, of: Any) -> Any:
    """One of them, always the same one for the same number; None of none."""
    known = sorted(of, key=lambda key: (repr(of[key]), str(key)))
    return known[number % len(known)] if known else None


class Play:
    """What people do, on an account; each method is a step of a script."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def create(self, fields: dict[str, Any]) -> None:
        await self.account.create(an_event(**{"title": "Vet", **fields}))

    async def edit(self, number: int, fields: dict[str, Any]) -> None:
        local_id: UUID | None = nth(number, await self.account.here())
        if local_id is not None:
            await self.account.home.edit(local_id, **fields)

    async def delete(self, number: int) -> None:
        local_id: UUID | None = nth(number, await self.account.here())
        if local_id is not None:
            await self.account.home.delete(local_id)

    async def remote_create(self, fields: dict[str, Any]) -> None:
        await self.account.remote_create(an_event(**{"title": "Theirs", **fields}))

    async def remote_edit(self, number: int, fields: dict[str, Any]) -> None:
        remote_id = nth(number, await self.account.there())
        if remote_id is not None:
            await self.account.remote_edit(remote_id, **fields)

    async def remote_delete(self, number: int) -> None:
        remote_id = nth(number, await self.account.there())
        if remote_id is not None:
            await self.account.remote_delete(remote_id)

    async def remote_copy(self, number: int) -> None:
        remote_id = nth(number, await self.account.there())
        if remote_id is not None:
            await self.account.remote_copy(remote_id)

    async def expire(self) -> None:
        await self.account.backend.expire()

    async def lose_answer(self, when: str) -> None:
        self.account.break_write(when=when)
        await self.account.try_to_sync()
        self.account.mend()

    async def sync(self, crash_at: int | None) -> None:
        await self.account.try_to_sync(crash_at=crash_at)

    async def sync_raced(self, crash_at: int | None, number: int, fields: dict[str, Any]) -> None:
        await self.account.try_to_sync(crash_at=crash_at, before=lambda: self.remote_edit(number, fields))

    async def sync_overtaken(self, crash_at: int | None, number: int, fields: dict[str, Any]) -> None:
        await self.account.try_to_sync(crash_at=crash_at, before=lambda: self.edit(number, fields))


async def converges(account: Account, script: Script) -> None:
    """INV1 to INV4."""
    account.home.confirmed = True
    play = Play(account)
    for name, *args in script:
        await getattr(play, name)(*args)
    await account.comes_to_rest()


async def disjoint(account: Account, script: Script) -> None:
    """INV5: here title and place are edited, there the rest, also right before we write."""
    local_id = await account.create(an_event())
    await account.sync()
    wanted: dict[str, Any] = {}
    for where, crash_at, ours, theirs in script:

        async def edit_there(theirs: dict[str, Any] = theirs, wanted: dict[str, Any] = wanted) -> None:
            await account.remote_edit(await account.only(), **theirs)
            wanted.update(theirs)

        if where != "there":
            await account.home.edit(local_id, **ours)
            wanted |= ours
        else:
            await edit_there()
        await account.try_to_sync(crash_at=crash_at, before=edit_there if where == "raced" else None)
    await account.comes_to_rest()
    event: Event = (await account.here())[local_id]
    assert {name: getattr(event, name) for name in wanted} == wanted
    assert await account.conflicts() == []


THEIR_EDITS = {name: values for name, values in THEIRS.items() if name != "alarms"}
DISJOINT = st.lists(
    st.tuples(st.sampled_from(["here", "there", "raced"]), CRASH, edits(OURS), edits(THEIR_EDITS)), max_size=5
)
providers = pytest.mark.parametrize("name", ACCOUNTS)
examples = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@providers
@pytest.mark.timeout(36_000 if EXPLORE else 240)
@examples
@given(st.lists(STEPS, max_size=9))
async def test_both_sides_agree_without_duplicates_and_then_nothing_is_written(
    open_account: OpenAccount, name: str, script: Script
) -> None:
    async with open_account(name) as account:
        await converges(account, script)


@providers
@pytest.mark.timeout(36_000 if EXPLORE else 240)
@examples
@given(DISJOINT)
async def test_edits_of_different_fields_all_survive_and_are_no_conflict(
    open_account: OpenAccount, name: str, script: Script
) -> None:
    async with open_account(name) as account:
        await disjoint(account, script)
