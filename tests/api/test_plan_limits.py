"""What a plan holds: room for pets, pets that can be read and not changed, and what an upgrade gives back at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.settings import Settings
from domain.access import Role
from domain.billing.catalogue import LIMITS, Tier
from models.queries import households
from tests.api.household_kit import Post, home_of, member, pet_of
from tests.api.plans_kit import entitle
from tests.api.signing_in import OPEN, Api, Person
from tests.api.test_transfers import accept, offer

FREE = LIMITS[Tier.FREE].pets
PLUS = LIMITS[Tier.PLUS].pets


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture
async def owner(api: Api) -> Person:
    return await api.person(first_name="Ada")


async def pets(owner: Person) -> list[dict[str, Any]]:
    """Theirs, the earliest first."""
    return list((await owner.request("GET", "/pets")).json()["items"])


async def read_only(owner: Person) -> list[bool]:
    return [pet["read_only"] for pet in await pets(owner)]


async def family_of(owner: Person, count: int) -> list[dict[str, Any]]:
    """So many pets, on the largest plan."""
    await entitle(owner.api.identity.db, owner.user_id, Tier.FAMILY)
    return [await pet_of(owner, name=f"Milo {number}") for number in range(count)]


async def refusal(owner: Person, method: str, path: str, body: Any = None) -> tuple[int, str | None]:
    answer = await owner.request(method, path, body)
    return answer.status_code, answer.json().get("code") if answer.content else None


async def test_a_downgrade_from_family_with_seven_pets_deletes_nothing_and_an_upgrade_gives_all_back(
    api: Api, owner: Person
) -> None:
    made = await family_of(owner, 7)
    assert await read_only(owner) == [False] * 7
    await entitle(api.identity.db, owner.user_id, Tier.FREE)
    assert [pet["id"] for pet in await pets(owner)] == [pet["id"] for pet in made]
    assert await read_only(owner) == [False] * FREE + [True] * (7 - FREE)
    kept, extra = f"/pets/{made[0]['id']}", f"/pets/{made[-1]['id']}"
    assert await refusal(owner, "PATCH", kept, {"breed": "Tabby"}) == (200, None)
    assert await refusal(owner, "PATCH", extra, {"breed": "Tabby"}) == (409, "pet_read_only")
    assert await refusal(owner, "PATCH", extra, {"weight_kg": 4.2}) == (409, "pet_read_only")
    await entitle(api.identity.db, owner.user_id, Tier.PLUS)
    assert await read_only(owner) == [False] * PLUS + [True] * (7 - PLUS)
    await entitle(api.identity.db, owner.user_id, Tier.FAMILY)
    assert await read_only(owner) == [False] * 7
    assert await refusal(owner, "PATCH", extra, {"breed": "Tabby"}) == (200, None)


async def test_a_household_that_is_full_is_told_what_to_do(owner: Person) -> None:
    for _ in range(FREE):
        await pet_of(owner)
    answer = await owner.request("POST", "/pets", {"name": "One more"})
    said = answer.json()
    assert (answer.status_code, said["code"]) == (409, "plan_limit")
    assert (said["limit"], said["tier"], said["plans"]) == (FREE, "free", "/api/v1/billing/plans")
    assert len(await pets(owner)) == FREE


async def test_creations_at_once_do_not_exceed_the_limit(owner: Person) -> None:
    answers = await asyncio.gather(*(owner.request("POST", "/pets", {"name": f"Milo {n}"}) for n in range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] * FREE + [409] * (12 - FREE)
    assert len(await pets(owner)) == FREE


async def test_a_pet_that_is_gone_or_dead_makes_room(api: Api, owner: Person) -> None:
    first, second = [await pet_of(owner) for _ in range(FREE)]
    assert (await owner.request("DELETE", f"/pets/{first['id']}")).status_code == 204
    await pet_of(owner)
    async with api.identity.db.sessions.begin() as session:
        await session.execute(text("UPDATE pets SET status = 'deceased' WHERE id = :id"), {"id": second["id"]})
    await pet_of(owner)
    assert (await owner.request("POST", "/pets", {"name": "One more"})).status_code == 409
    assert await read_only(owner) == [False] * 3, "a pet that died takes no room and stays as it was"


async def test_a_pet_that_goes_moves_the_next_one_up(api: Api, owner: Person) -> None:
    made = await family_of(owner, FREE + 2)
    await entitle(api.identity.db, owner.user_id, Tier.FREE)
    assert (await owner.request("DELETE", f"/pets/{made[0]['id']}")).status_code == 204
    assert await read_only(owner) == [False] * FREE + [True]


async def test_a_household_has_the_highest_plan_of_those_who_own_it_now(api: Api, owner: Person) -> None:
    home = await home_of(owner)
    await family_of(owner, 7)
    await entitle(api.identity.db, owner.user_id, Tier.FREE)
    paying = await member(api, home, Role.OWNER)
    await entitle(api.identity.db, paying.user_id, Tier.PLUS)
    assert (await read_only(owner)).count(True) == 7 - PLUS
    helper = await member(api, home, Role.CARETAKER)
    await entitle(api.identity.db, helper.user_id, Tier.FAMILY)
    assert (await read_only(owner)).count(True) == 7 - PLUS, "a caretaker's plan is not the household's"
    async with api.identity.db.sessions.begin() as session:
        await households.part(session, home, paying.user_id)
    assert (await read_only(owner)).count(True) == 7 - FREE


async def test_a_grace_that_runs_out_needs_no_worker(api: Api, owner: Person) -> None:
    made, now = await family_of(owner, 4), datetime.now(UTC)
    await entitle(api.identity.db, owner.user_id, Tier.FAMILY, now + timedelta(hours=1))
    assert (await read_only(owner)).count(True) == 0
    await entitle(api.identity.db, owner.user_id, Tier.FAMILY, now - timedelta(seconds=1))
    assert (await read_only(owner)).count(True) == 4 - FREE
    assert await refusal(owner, "PATCH", f"/pets/{made[-1]['id']}", {"breed": "Tabby"}) == (409, "pet_read_only")
    assert await refusal(owner, "POST", "/pets", {"name": "One more"}) == (409, "plan_limit")


async def test_a_pet_moves_only_where_there_is_room_and_those_on_their_way_are_counted(api: Api, owner: Person) -> None:
    taker, post = await api.person(), Post.of(api)
    offered = [await offer(owner, pet, taker.email) for pet in await family_of(owner, FREE + 1)]
    for each in offered[:FREE]:
        await accept(taker, each)
    assert (await accept(taker, offered[FREE], 409))["code"] == "plan_limit"
    assert await refusal(taker, "POST", "/pets", {"name": "One more"}) == (409, "plan_limit")
    for each in offered[:FREE]:
        await post.move(each)
    assert (await accept(taker, offered[FREE], 409))["code"] == "plan_limit"
    await entitle(api.identity.db, taker.user_id, Tier.PLUS)
    await accept(taker, offered[FREE])


async def test_whoever_looks_after_a_read_only_pet_still_gives_its_dose(api: Api, owner: Person) -> None:
    made = await family_of(owner, FREE + 1)
    body = {"title": "Tablet", "schedule": {"mode": "once", "dtstart_local": "2036-06-01T08:00"}, "class": "dose"}
    reminder = (await owner.request("POST", "/reminders", body | {"pet_id": made[-1]["id"]})).json()
    await entitle(api.identity.db, owner.user_id, Tier.FREE)
    found = (await owner.request("GET", f"/reminders/{reminder['id']}/occurrences")).json()["items"][0]
    async with api.identity.db.sessions.begin() as session:
        late = "UPDATE occurrences SET state = 'due', instant = clock_timestamp() WHERE id = :id"
        await session.execute(text(late), {"id": UUID(found["id"])})
    assert await refusal(owner, "POST", f"/occurrences/{found['id']}/complete", {}) == (200, None)
    assert await refusal(owner, "POST", f"/pets/{made[-1]['id']}/lost", {}) == (201, None)
    assert await refusal(owner, "DELETE", f"/reminders/{reminder['id']}") == (204, None)
