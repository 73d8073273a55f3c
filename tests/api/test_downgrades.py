"""Smaller plans over HTTP, past the end of the period in which they were chosen."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from core.db import Database
from core.settings import Settings
from tests.api.billing_kit import SWITCHED_ON, World, mine, world_of
from tests.api.signing_in import Api, Person

DAY = 86_400


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=SWITCHED_ON)


@pytest.fixture
async def world(app: FastAPI, api: Api, db: Database) -> AsyncIterator[World]:
    async with world_of(app, api, db) as made:
        yield made


async def change(world: World, person: Person, plan: str) -> dict[str, Any]:
    """Change to this plan; what their subscription is then."""
    async with world.worker.working():
        answer = await person.request("POST", "/billing/plan-change", {"plan": plan})
    assert (answer.status_code, answer.json().get("state")) == (200, "done"), answer.text
    return dict(answer.json()["subscription"])


async def smaller_for_a_year(world: World, person: Person) -> None:
    """A year with the larger plan is over, and the smaller one that was chosen meanwhile has begun."""
    await world.subscribe(person, "family_year")
    assert (await change(world, person, "plus_year"))["next_plan"]["plan"] == "plus_year"
    await world.box.passes(366 * DAY)
    await world.worker.pull(person.user_id)


async def test_a_smaller_plan_that_has_begun_is_no_plan_to_come(world: World, person: Person) -> None:
    await smaller_for_a_year(world, person)
    shown = await mine(person)
    assert (shown["plan"], shown["tier"], shown["next_plan"]) == ("plus_year", "plus", None)
    for path in ("plan-change", "plan-change/preview"):
        answer = await person.request("POST", f"/billing/{path}", {"plan": "plus_year"})
        assert (answer.status_code, answer.json()["code"]) == (409, "same_plan"), path


async def test_after_a_smaller_plan_a_still_smaller_one_begins_when_that_period_ends(
    world: World, person: Person
) -> None:
    await smaller_for_a_year(world, person)
    planned = await change(world, person, "plus_month")
    assert (planned["plan"], planned["next_plan"]["plan"]) == ("plus_year", "plus_month")
    assert planned["next_plan"]["begins_at"] == planned["period_end"]
    await world.box.passes(365 * DAY)
    await world.worker.pull(person.user_id)
    shown = await mine(person)
    assert (shown["plan"], shown["next_plan"]) == ("plus_month", None)
    assert sorted(invoice["total"] for invoice in world.objects("invoice")) == [594, 5938, 11888]


@pytest.mark.parametrize("then", ["family_year", "plus_year"])
async def test_what_was_planned_in_the_second_period_is_taken_back_as_in_the_first(
    world: World, person: Person, then: str
) -> None:
    await smaller_for_a_year(world, person)
    await change(world, person, "plus_month")
    shown = await change(world, person, then)
    assert (shown["plan"], shown["next_plan"]) == (then, None)
