"""A sitter's grant over its days, with time skipped."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from integrations.notify.protocol import ProviderUnavailable
from tests.workflows.grant_world import GrantWorld, grant_world

DAY = timedelta(days=1)


@pytest.fixture
async def world() -> AsyncIterator[GrantWorld]:
    async with grant_world(begins=2 * DAY, lasts=7 * DAY) as opened:
        yield opened


async def test_it_is_handed_over_summed_up_every_evening_and_taken_back(world: GrantWorld) -> None:
    handle = await world.offer()
    await world.passes(DAY)
    assert world.row.done == ["mail"]
    await world.change(handle, accepted=True)
    await world.passes(2 * DAY)
    assert world.row.done[:2] == ["mail", "start"]
    await handle.result()
    assert world.row.done == ["mail", "start", *["summary"] * 7, "end"]


async def test_what_nobody_accepts_ends_without_having_begun(world: GrantWorld) -> None:
    handle = await world.offer()
    await handle.result()
    assert world.row.done == ["mail", "end"]
    assert world.row.standing.started_at is None


async def test_accepted_late_it_begins_at_once(world: GrantWorld) -> None:
    handle = await world.offer()
    await world.passes(4 * DAY)
    await world.change(handle, accepted=True)
    await handle.result()
    assert world.row.done[1] == "start"
    assert world.row.done[-1] == "end"


async def test_ended_early_it_is_taken_back_at_once(world: GrantWorld) -> None:
    world.row.standing = replace(world.row.standing, accepted=True, valid_from=await world.now(), mailed=True)
    handle = await world.offer()
    await world.passes(timedelta(minutes=1))
    await world.change(handle, revoked_at=await world.now())
    await handle.result()
    assert world.row.done in (["start", "end"], ["start", "summary", "end"])
    ended_at = world.row.standing.ended_at
    assert ended_at is not None
    assert ended_at < world.row.standing.valid_from + DAY


async def test_a_longer_end_is_obeyed(world: GrantWorld) -> None:
    handle = await world.offer()
    await world.change(handle, accepted=True, valid_until=world.row.standing.valid_until + 7 * DAY)
    await handle.result()
    assert world.row.done.count("summary") == 14


async def test_stale_and_repeated_bells_do_nothing_twice(world: GrantWorld) -> None:
    handle = await world.offer()
    for seq in (1, 1, 9, 4, 9):
        await world.ring(handle, seq)
    await world.change(handle, accepted=True)
    await handle.result()
    assert [world.row.done.count(what) for what in ("mail", "start", "end")] == [1, 1, 1]


async def test_an_outage_of_hours_is_outlasted(world: GrantWorld) -> None:
    handle = await world.offer()
    world.row.faults = [ProviderUnavailable("away") for _ in range(6)]
    await world.passes(DAY)
    await world.change(handle, accepted=True)
    world.row.faults = [RuntimeError("the database is away") for _ in range(4)]
    await handle.result()
    assert [world.row.done.count(what) for what in ("mail", "start", "end")] == [1, 1, 1]


async def test_half_a_year_is_one_sitting() -> None:
    async with grant_world(begins=timedelta(hours=1), lasts=180 * DAY) as world:
        handle = await world.offer()
        await world.change(handle, accepted=True)
        await handle.result()
        assert abs(world.row.done.count("summary") - 180) <= 1  # the clocks change on the way
        assert world.row.done[-1] == "end"
