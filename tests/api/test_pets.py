"""Pets over HTTP, on real Postgres."""

import asyncio
from typing import Any

import pytest

from api.schemas.pets import PetOut
from core.db import Database
from domain.billing.catalogue import Tier
from tests.api.plans_kit import entitle
from tests.api.signing_in import Api, Person


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    return await api.person()


@pytest.fixture(autouse=True)
async def room(person: Person, db: Database) -> None:
    """Each test begins with an empty home: the free plan holds two pets."""
    await db.reads.execute("UPDATE pets SET deleted_at = clock_timestamp() WHERE deleted_at IS NULL")


async def add(person: Person, **fields: Any) -> dict[str, Any]:
    answer = await person.request("POST", "/pets", {"name": "Milo"} | fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_client_that_knows_only_the_base_schema_reads_back_what_it_wrote(person: Person) -> None:
    fields = {
        "name": "Rex",
        "species": "dog",
        "breed": "Mixed",
        "date_of_birth": "2020-02-29",
        "weight_kg": 12.345,
        "microchip_id": "276098102345678",
        "profile_photo_url": "https://pictures.example.test/rex.jpg",
    }
    created = await add(person, **fields)
    read = await person.request("GET", f"/pets/{created['id']}")
    assert read.status_code == 200
    assert {name: read.json()[name] for name in fields} == fields
    assert read.json()["owner_id"] == created["owners"][0]
    PetOut.model_validate(read.json(), strict=False)


@pytest.mark.parametrize(
    ("entered", "grams"), [(0.032, 32), (4.2, 4200), (0.0005, None), (0, None), (-1, None), (99_999, None)]
)
async def test_weights_are_grams_and_impossible_ones_are_refused(
    person: Person, entered: float, grams: int | None
) -> None:
    answer = await person.request("POST", "/pets", {"name": "Pip", "weight_kg": entered})
    assert answer.status_code == (201 if grams else 422), answer.text
    if grams:
        assert answer.json()["weight"]["grams"] == grams


@pytest.mark.parametrize(
    ("entered", "code"),
    [
        ("985112345678903", "985112345678903"),
        ("3E7.1CBE991A14", "999123456789012"),
        ("123*456*789", "123456789"),
        ("900 123-456.789 012", "900123456789012"),
        ("985999999999999", None),
        ("000123456789012", None),
        ("12345", None),
    ],
)
async def test_microchip_numbers_as_readers_show_them(person: Person, entered: str, code: str | None) -> None:
    answer = await person.request("POST", "/pets", {"name": "Chip", "microchip_id": entered})
    assert answer.status_code == (201 if code else 422), answer.text
    if code:
        assert answer.json()["microchip_id"] == code
        assert answer.json()["microchips"][0]["code_as_entered"] == entered


async def test_a_chip_that_another_pet_carries_is_kept_as_disputed_and_reveals_nobody(api: Api, person: Person) -> None:
    await add(person, microchip_id="276000000000001")
    other = await api.person()
    second = await add(other, microchip_id="276000000000001")
    assert second["microchip_id"] == "276000000000001"
    assert second["microchips"][0]["disputed"] is True


async def test_a_pet_of_others_is_404_for_every_method(api: Api, person: Person) -> None:
    pet = await add(person)
    stranger = await api.person()
    for method, body in (("GET", None), ("PUT", {"name": "Mine"}), ("PATCH", {"name": "Mine"}), ("DELETE", None)):
        answer = await stranger.request(method, f"/pets/{pet['id']}", body)
        assert answer.status_code == 404, (method, answer.text)


async def test_an_answer_can_be_edited_and_sent_back_whole(person: Person) -> None:
    pet = await add(person, weight_kg=3.5, microchip_id="276098102345671")
    answer = await person.request("PUT", f"/pets/{pet['id']}", pet | {"name": "Miro"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["name"], answer.json()["weight"]) == ("Miro", pet["weight"])
    assert answer.json()["microchips"] == pet["microchips"]


@pytest.mark.parametrize("field", ["owner_id", "household_id", "id", "status", "created_at", "version"])
async def test_a_changed_read_only_field_is_refused_by_name(person: Person, field: str) -> None:
    pet = await add(person)
    answer = await person.request("PATCH", f"/pets/{pet['id']}", {field: "something else"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": f"/{field}", "code": "read_only", "detail": "this field cannot be written"}
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "x", "date_of_birth": "2999-01-01"},
        {"name": "x", "home_tzid": "Mars/Olympus"},
        {"name": "x", "profile_photo_url": "http://insecure.test/a.jpg"},
        {"name": "x", "profile_photo_url": "javascript:alert(1)"},
        {"name": "x", "colour": "red"},
    ],
)
async def test_what_cannot_be_a_pet_is_422(person: Person, body: dict[str, Any]) -> None:
    assert (await person.request("POST", "/pets", body)).status_code == 422


async def test_fifty_writes_with_one_etag_change_the_pet_once(person: Person) -> None:
    pet = await add(person)
    tag = (await person.request("GET", f"/pets/{pet['id']}")).headers["etag"]
    answers = await asyncio.gather(
        *(
            person.request("PUT", f"/pets/{pet['id']}", {"name": f"Name {n}"}, headers={"If-Match": tag})
            for n in range(50)
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {412, 503}, statuses
    assert (await person.request("GET", f"/pets/{pet['id']}")).json()["version"] == 2


async def test_if_none_match_of_the_present_version_is_304(person: Person) -> None:
    pet = await add(person)
    first = await person.request("GET", f"/pets/{pet['id']}")
    again = await person.request("GET", f"/pets/{pet['id']}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_deleted_pet_is_gone_from_everywhere(person: Person) -> None:
    pet = await add(person)
    assert (await person.request("DELETE", f"/pets/{pet['id']}", headers={"If-Match": '"v9"'})).status_code == 412
    assert (await person.request("DELETE", f"/pets/{pet['id']}")).status_code == 204
    assert (await person.request("GET", f"/pets/{pet['id']}")).status_code == 404
    assert (await person.request("DELETE", f"/pets/{pet['id']}")).status_code == 404


async def test_one_idempotency_key_has_one_effect_however_often_it_is_sent(api: Api) -> None:
    person = await api.person()
    headers = {"Idempotency-Key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}
    answers = await asyncio.gather(
        *(person.request("POST", "/pets", {"name": "Once"}, headers=headers) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} <= {201, 409, 503}
    bodies = {answer.content for answer in answers if answer.status_code == 201}
    assert len(bodies) == 1
    assert len((await person.request("GET", "/pets")).json()["items"]) == 1
    replay = await person.request("POST", "/pets", {"name": "Once"}, headers=headers)
    assert replay.headers["idempotent-replayed"] == "true"
    assert replay.headers["location"].endswith(replay.json()["id"])
    other = await person.request("POST", "/pets", {"name": "Twice"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_refused_request_leaves_its_idempotency_key_free(person: Person) -> None:
    headers = {"Idempotency-Key": "free-after-422"}
    refused = await person.request("POST", "/pets", {"name": "x", "microchip_id": "12"}, headers=headers)
    assert refused.status_code == 422
    assert (await person.request("POST", "/pets", {"name": "x"}, headers=headers)).status_code == 201


async def test_pages_neither_repeat_nor_skip_while_others_write(api: Api) -> None:
    person = await api.person()
    await entitle(api.identity.db, person.user_id, Tier.FAMILY)
    stable = [(await add(person, name=f"Stable {n}"))["id"] for n in range(12)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        answer = await person.request("GET", f"/pets?limit=5{'&cursor=' + cursor if cursor else ''}")
        page = answer.json()
        seen += [item["id"] for item in page["items"]]
        transient = await add(person, name="Transient")
        await person.request("DELETE", f"/pets/{transient['id']}")
        cursor = page["next_cursor"]
        if cursor is None:
            assert "link" not in answer.headers
            break
        assert 'rel="next"' in answer.headers["link"]
    assert seen == stable


@pytest.mark.parametrize(("query", "status"), [("limit=0", 422), ("limit=-1", 422), ("limit=1000000000", 422)])
async def test_impossible_limits_are_422(person: Person, query: str, status: int) -> None:
    assert (await person.request("GET", f"/pets?{query}")).status_code == status


async def test_a_tampered_or_foreign_cursor_is_400(api: Api) -> None:
    one, two = await api.person(), await api.person()
    for owner in (one, two):
        for _ in range(2):
            await add(owner)
    cursor = (await one.request("GET", "/pets?limit=1")).json()["next_cursor"]
    assert (await one.request("GET", f"/pets?limit=1&cursor={cursor}")).status_code == 200
    assert (await two.request("GET", f"/pets?limit=1&cursor={cursor}")).status_code == 400
    assert (await one.request("GET", f"/pets?cursor=A{cursor[1:]}")).status_code == 400
    assert (await one.request("GET", "/pets?cursor=%F0%9F%90%88")).status_code == 400
