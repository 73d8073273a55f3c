"""Health records over HTTP, on real Postgres with its hash partitions."""

from typing import Any

import pytest

from api.schemas.health_records import RecordOut
from core.db import Database
from domain.billing.catalogue import Tier
from tests.api.plans_kit import entitle
from tests.api.signing_in import Api, Person, version_in


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    person = await api.person(timezone="Europe/Berlin")
    await entitle(api.identity.db, person.user_id, Tier.FAMILY)
    return person


@pytest.fixture(scope="module")
async def pet_id(person: Person) -> str:
    return str((await person.request("POST", "/pets", {"name": "Milo"})).json()["id"])


async def add(person: Person, pet_id: str, **fields: Any) -> dict[str, Any]:
    body = {"record_type": "vaccination", "title": "Rabies"} | fields
    answer = await person.request("POST", f"/health-records/pets/{pet_id}/records", body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_client_that_knows_only_the_base_schema_reads_back_what_it_wrote(person: Person, pet_id: str) -> None:
    fields = {
        "record_type": "visit",
        "title": "Check-up",
        "description": "All well.",
        "date_administered": "2026-01-31",
        "veterinarian": "Dr. Vet",
        "cost": 54.9,
        "attachments": [{"name": "invoice", "url": "https://files.example.test/1.pdf"}],
    }
    record = await add(person, pet_id, **fields)
    read = (await person.request("GET", f"/health-records/records/{record['id']}")).json()
    assert {name: read[name] for name in fields} == fields
    assert read["cost_money"] == {"amount": 5490, "currency": "EUR"}
    RecordOut.model_validate(read, strict=False)


@pytest.mark.parametrize(
    ("fields", "money"),
    [
        ({"cost": 1200, "currency": "JPY"}, {"amount": 1200, "currency": "JPY"}),
        ({"cost": 1.234, "currency": "KWD"}, {"amount": 1234, "currency": "KWD"}),
        ({"cost_money": {"amount": 99, "currency": "USD"}}, {"amount": 99, "currency": "USD"}),
        ({"cost": 0}, {"amount": 0, "currency": "EUR"}),
    ],
)
async def test_money_has_as_many_decimals_as_its_currency(
    person: Person, pet_id: str, fields: dict[str, Any], money: dict[str, Any]
) -> None:
    assert (await add(person, pet_id, **fields))["cost_money"] == money


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"cost": 1.234}, "cost_decimals"),
        ({"cost": 1.5, "currency": "JPY"}, "cost_decimals"),
        ({"cost": 1, "currency": "QQQ"}, "currency_unknown"),
        ({"cost": 1, "cost_money": {"amount": 200, "currency": "EUR"}}, "cost_conflict"),
        ({"date_administered": "2999-01-01"}, "date_in_future"),
        ({"title": "  "}, "string_too_short"),
        ({"mood": "good"}, "extra_forbidden"),
    ],
)
async def test_what_cannot_be_a_record_is_refused_by_name(
    person: Person, pet_id: str, fields: dict[str, Any], code: str
) -> None:
    body = {"record_type": "visit", "title": "x"} | fields
    answer = await person.request("POST", f"/health-records/pets/{pet_id}/records", body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["code"] == code


async def test_a_future_date_is_a_plan(person: Person, pet_id: str) -> None:
    assert (await add(person, pet_id, date_administered="2999-01-01", state="planned"))["state"] == "planned"


async def test_any_word_is_kept_as_record_type(person: Person, pet_id: str) -> None:
    assert (await add(person, pet_id, record_type="acupuncture"))["record_type"] == "acupuncture"


async def test_put_changes_only_what_it_names_and_honours_if_match(person: Person, pet_id: str) -> None:
    record = await add(person, pet_id, cost=10, description="kept")
    path = f"/health-records/records/{record['id']}"
    stale = await person.request("PUT", path, {"title": "New"}, headers={"If-Match": '"v7"'})
    assert stale.status_code == 412
    changed = await person.request("PUT", path, {"title": "New"}, headers={"If-Match": '"v1"'})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["title"], changed.json()["description"], changed.json()["cost"]) == ("New", "kept", 10)
    assert version_in(changed) == "v2"
    whole = await person.request("PUT", path, changed.json() | {"title": "Newer"})
    assert (whole.status_code, whole.json()["cost_money"]) == (200, changed.json()["cost_money"]), whole.text


async def test_records_of_others_are_404_also_below_a_pet_of_ones_own(api: Api, person: Person, pet_id: str) -> None:
    record = await add(person, pet_id)
    stranger = await api.person()
    for method, path, body in (
        ("GET", f"/health-records/records/{record['id']}", None),
        ("PUT", f"/health-records/records/{record['id']}", {"title": "Mine"}),
        ("DELETE", f"/health-records/records/{record['id']}", None),
        ("GET", f"/health-records/pets/{pet_id}/records", None),
        ("POST", f"/pets/{pet_id}/records", {"record_type": "x", "title": "x"}),
    ):
        assert (await stranger.request(method, path, body)).status_code == 404, (method, path)


async def test_the_diary_is_paged_newest_first_under_both_addresses(api: Api) -> None:
    person = await api.person()
    pet = (await person.request("POST", "/pets", {"name": "Pip"})).json()["id"]
    ids = [(await add(person, pet, title=f"Entry {n}"))["id"] for n in range(7)]
    seen, cursor = [], None
    while True:
        query = "?limit=3" + (f"&cursor={cursor}" if cursor else "")
        page = (await person.request("GET", f"/pets/{pet}/records{query}")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]


async def test_a_deleted_record_is_gone(person: Person, pet_id: str) -> None:
    record = await add(person, pet_id)
    path = f"/health-records/records/{record['id']}"
    assert (await person.request("DELETE", path)).status_code == 204
    assert (await person.request("GET", path)).status_code == 404


async def test_free_text_is_ciphertext_in_the_database(person: Person, pet_id: str, db: Database) -> None:
    await add(person, pet_id, title="Canarytitle", description="Canarytext", veterinarian="Canaryvet")
    rows = await db.reads.fetch("SELECT health_records::text AS line FROM health_records")
    assert not any("Canary" in row["line"] for row in rows)


async def test_a_record_by_id_alone_reads_one_partition(person: Person, pet_id: str, db: Database) -> None:
    record = await add(person, pet_id)
    plan = await db.reads.fetch(
        "EXPLAIN (ANALYZE) SELECT r.* FROM health_record_ids i "
        "JOIN health_records r ON r.pet_id = i.pet_id AND r.id = i.id WHERE i.id = $1",
        record["id"],
    )
    scanned = [row[0] for row in plan if "on health_records_p" in row[0] and "never executed" not in row[0]]
    assert len(scanned) == 1, scanned
