"""Operators look into a household only with a reason that its owners are told, read-only, for minutes."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.settings import Settings
from tests.api.signing_in import OPEN, Api, Person, api_process, until_waiting

REASON = "You asked us why the reminder of Monday did not come."


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


@pytest.fixture
async def owner(api: Api) -> Person:
    return await api.person()


@pytest.fixture
async def operator(api: Api) -> Person:
    person = await api.person()
    await api.identity.db.reads.execute("UPDATE users SET is_staff = true WHERE id = $1", person.user_id)
    return person


async def pet_of(person: Person) -> dict[str, str]:
    made = await person.request("POST", "/pets", {"name": "Milo"})
    assert made.status_code == 201, made.text
    return dict(made.json())


async def break_glass(operator: Person, household_id: str) -> str:
    opened = await operator.request("POST", "/staff/break-glass", {"household_id": household_id, "reason": REASON})
    assert opened.status_code == 201, opened.text
    return str(opened.json()["id"])


async def test_an_operator_sees_nothing_before_breaking_the_glass_and_everything_is_told_afterwards(
    api: Api, owner: Person, operator: Person
) -> None:
    pet = await pet_of(owner)
    assert (await operator.request("GET", f"/pets/{pet['id']}")).status_code == 404
    assert (await operator.request("GET", f"/staff/households/{pet['household_id']}")).status_code == 404

    await break_glass(operator, pet["household_id"])
    assert (await operator.request("GET", f"/pets/{pet['id']}")).json()["name"] == "Milo"
    content = (await operator.request("GET", f"/staff/households/{pet['household_id']}")).json()
    assert content["pets"] == [pet["id"]]
    assert content["members"] == [{"user_id": str(owner.user_id), "role": "owner"}]

    assert (await api.mails(owner.email))[-1] == "break_glass"
    line = (await owner.request("GET", "/notifications")).json()["items"][0]
    assert (line["kind"], line["params"]["reason"]) == ("break_glass", REASON)
    entries = (await owner.request("GET", "/users/audit")).json()["items"]
    told = [(entry["action"], entry["object"]) for entry in entries if entry["actor"] == f"user:{operator.user_id}"]
    assert ("staff.look", f"get_pet/{pet['id']}") in told
    assert ("staff.look", "household") in told
    assert any(action == "staff.break_glass" for action, _ in told)


async def test_an_operator_changes_nothing_and_finds_nothing_of_it_in_lists(owner: Person, operator: Person) -> None:
    pet = await pet_of(owner)
    await break_glass(operator, pet["household_id"])
    for method, path, body in (
        ("PUT", f"/pets/{pet['id']}", {"name": "Rex"}),
        ("DELETE", f"/pets/{pet['id']}", None),
        ("POST", f"/health-records/pets/{pet['id']}/records", {"record_type": "visit", "title": "x"}),
    ):
        refused = await operator.request(method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted"), refused.text
    assert (await operator.request("GET", "/pets")).json()["items"] == []
    assert (await operator.request("GET", "/agenda")).json()["items"] == []
    homes = (await operator.request("GET", "/households")).json()["items"]
    assert pet["household_id"] not in {home["id"] for home in homes}
    assert (await operator.request("GET", f"/households/{pet['household_id']}")).json()["role"] == "admin"
    entries = (await owner.request("GET", "/users/audit")).json()["items"]
    assert entries[0]["object"] == f"get_household/{pet['household_id']}"


async def test_a_look_ends_by_the_clock_and_by_its_operator(api: Api, owner: Person, operator: Person) -> None:
    pet = await pet_of(owner)
    look = await break_glass(operator, pet["household_id"])
    assert [item["id"] for item in (await operator.request("GET", "/staff/break-glass")).json()["items"]] == [look]
    assert (await operator.request("DELETE", f"/staff/break-glass/{look}")).status_code == 204
    assert (await operator.request("DELETE", f"/staff/break-glass/{look}")).status_code == 404
    assert (await operator.request("GET", f"/pets/{pet['id']}")).status_code == 404

    late = await break_glass(operator, pet["household_id"])
    again = {"household_id": pet["household_id"], "reason": REASON}
    assert (await operator.request("POST", "/staff/break-glass", again)).json()["code"] == "already_reached"
    assert (await operator.request("GET", f"/pets/{pet['id']}")).status_code == 200
    over = "UPDATE break_glass SET expires_at = clock_timestamp() WHERE id = $1"
    await api.identity.db.reads.execute(over, UUID(late))
    assert (await operator.request("GET", f"/pets/{pet['id']}")).status_code == 404


async def test_of_looks_opened_at_once_one_is_and_one_over_is_not_ended_again(
    api: Api, owner: Person, operator: Person
) -> None:
    pet = await pet_of(owner)
    body = {"household_id": pet["household_id"], "reason": REASON}
    async with api.identity.db.sessions.begin() as session:
        locked = text("SELECT id FROM households WHERE id = :id FOR UPDATE")
        await session.execute(locked, {"id": pet["household_id"]})
        looks = [asyncio.create_task(operator.request("POST", "/staff/break-glass", body)) for _ in range(2)]
        await until_waiting(api, 2)
    answers = await asyncio.gather(*looks)
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert (await operator.request("GET", f"/staff/households/{pet['household_id']}")).status_code == 200

    look = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    over = "UPDATE break_glass SET expires_at = clock_timestamp() WHERE id = $1"
    await api.identity.db.reads.execute(over, UUID(look))
    assert (await operator.request("DELETE", f"/staff/break-glass/{look}")).status_code == 404


async def test_whoever_is_an_operator_no_more_looks_no_longer(api: Api, owner: Person, operator: Person) -> None:
    pet = await pet_of(owner)
    await break_glass(operator, pet["household_id"])
    assert (await operator.request("GET", f"/pets/{pet['id']}")).status_code == 200
    await api.identity.db.reads.execute("UPDATE users SET is_staff = false WHERE id = $1", operator.user_id)
    assert (await operator.request("GET", f"/pets/{pet['id']}")).status_code == 404


async def test_the_household_of_somebody_who_asks_for_help_is_found_by_their_address(
    owner: Person, operator: Person
) -> None:
    pet = await pet_of(owner)
    found = await operator.request("POST", "/staff/find", {"email": owner.email.upper()})
    home = {"household_id": pet["household_id"], "user_id": str(owner.user_id), "role": "owner"}
    assert found.json() == {"items": [home]}
    nobody = await operator.request("POST", "/staff/find", {"email": "nobody@example.test"})
    assert nobody.json() == {"items": []}
    entries = (await owner.request("GET", "/users/audit")).json()["items"]
    assert entries[0]["action"] == "staff.find"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/staff/find", {"email": "a@example.test"}),
        ("POST", "/staff/break-glass", {"household_id": str(UUID(int=1)), "reason": REASON}),
        ("GET", "/staff/break-glass", None),
        ("DELETE", f"/staff/break-glass/{UUID(int=1)}", None),
        ("GET", f"/staff/households/{UUID(int=1)}", None),
    ],
)
async def test_nobody_else_may(owner: Person, method: str, path: str, body: object) -> None:
    refused = await owner.request(method, path, body)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")


async def test_a_look_needs_a_household_and_a_reason(owner: Person, operator: Person) -> None:
    pet = await pet_of(owner)
    short = {"household_id": pet["household_id"], "reason": "because"}
    assert (await operator.request("POST", "/staff/break-glass", short)).status_code == 422
    unknown = {"household_id": str(UUID(int=7)), "reason": REASON}
    assert (await operator.request("POST", "/staff/break-glass", unknown)).status_code == 404
