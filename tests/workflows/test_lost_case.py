"""The search for a lost pet over its weeks, with time skipped."""

from collections.abc import AsyncIterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.workflows.search_world import SearchWorld, search_world

DAY = timedelta(days=1)


@pytest.fixture
async def world() -> AsyncIterator[SearchWorld]:
    async with search_world() as opened:
        yield opened


def steps(world: SearchWorld) -> list[str]:
    return [step for step, _ in world.rows.done]


async def test_people_are_asked_every_morning_until_nobody_has_answered_for_thirty_days(world: SearchWorld) -> None:
    handle = await world.ring()
    await handle.result()
    assert 28 <= steps(world).count("ask") <= 30
    assert steps(world)[-2:] == ["close", "wipe"]
    assert [day for step, day in world.rows.done if step != "ask"] == [30, 60]


async def test_the_question_comes_at_nine_where_the_pet_lives(world: SearchWorld) -> None:
    await world.ring()
    await world.passes(2 * DAY)
    asked = world.rows.search.asked_at
    assert asked is not None
    assert asked.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M") == "09:00"


async def test_an_answer_keeps_it_open_for_another_thirty_days(world: SearchWorld) -> None:
    handle = await world.ring()
    await world.passes(20 * DAY)
    await world.answer(answered_at=await world.now())
    await world.passes(25 * DAY)
    assert "close" not in steps(world)
    await handle.result()
    assert [day for step, day in world.rows.done if step != "ask"] == [50, 80]


async def test_a_search_closed_by_a_member_asks_nobody_any_more_and_is_wiped(world: SearchWorld) -> None:
    handle = await world.ring()
    await world.passes(3 * DAY)
    asked = steps(world).count("ask")
    await world.answer(closed_at=await world.now())
    await handle.result()
    assert steps(world) == ["ask"] * asked + ["wipe"]


async def test_a_late_bell_to_a_search_that_is_over_starts_nothing_that_stays(world: SearchWorld) -> None:
    await (await world.ring()).result()
    done = list(world.rows.done)
    await (await world.ring()).result()
    assert world.rows.done == done


async def test_a_pet_that_was_given_away_ends_it_at_the_bell(world: SearchWorld) -> None:
    handle = await world.ring()
    await world.passes(timedelta(hours=1))
    await world.answer(pet_is_here=False)
    await handle.result()
    assert world.rows.done == [("close", 0), ("wipe", 30)]


async def test_an_outage_and_a_death_after_the_commit_ask_once(world: SearchWorld) -> None:
    world.rows.faults = [RuntimeError("Postgres is away") for _ in range(3)]
    world.rows.lost_answers = 1
    await world.ring()
    await world.passes(2 * DAY)
    days = [day for step, day in world.rows.done if step == "ask"]
    assert len(days) == len(set(days))


async def test_a_search_of_two_years_goes_on_in_short_histories(world: SearchWorld) -> None:
    handle = await world.ring()
    for _ in range(26):
        await world.passes(28 * DAY)
        await world.answer(answered_at=await world.now())
    assert steps(world).count("ask") > 650
    assert "close" not in steps(world)
    latest = await world.env.client.get_workflow_handle(handle.id).describe()
    assert latest.run_id != handle.first_execution_run_id
    assert latest.history_length < 4_000
