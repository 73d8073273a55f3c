"""A client that knows only the fields of the base schema (product.md §3.1) does its whole job with them (§8.7)."""

from decimal import Decimal
from typing import Any

import pytest

from domain.billing.catalogue import Tier
from tests.api.plans_kit import entitle
from tests.api.signing_in import Api, Person

# All columns but the password's hash, which nobody reads.
USERS = "id email first_name last_name phone timezone subscription_tier created_at updated_at".split()
PETS = "id owner_id name species breed date_of_birth weight_kg microchip_id profile_photo_url created_at".split()
RECORDS = "id pet_id record_type title description date_administered veterinarian cost attachments created_at".split()
REMINDERS = (
    "id user_id pet_id title description reminder_date repeat_interval notification_methods is_completed created_at"
).split()

PET = {
    "name": "Milo",
    "species": "cat",
    "breed": "European Shorthair",
    "date_of_birth": "2022-04-01",
    "weight_kg": 4.2,
    "microchip_id": "276098102345678",
    "profile_photo_url": "https://photos.example.test/milo.jpg",
}
RECORD = {
    "record_type": "vaccination",
    "title": "Rabies",
    "description": "left shoulder",
    "date_administered": "2025-05-02",
    "veterinarian": "Dr. Weiss",
    "cost": 62.5,
    "attachments": [],
}
REMINDER = {
    "title": "Spot-on",
    "description": "between the shoulders",
    "reminder_date": "2036-01-31T08:00:00",
    "repeat_interval": "monthly",
    "notification_methods": ["email"],
}


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    person = await api.person(first_name="Anna", last_name="Brandt", phone="+4930123456", timezone="Europe/Berlin")
    await entitle(api.identity.db, person.user_id, Tier.FAMILY)
    return person


async def stored(person: Person, path: str, body: dict[str, Any]) -> str:
    answer = await person.request("POST", path, body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def read(person: Person, path: str, fields: list[str]) -> dict[str, Any]:
    """The seed's columns of what is there; a missing one fails."""
    answer = await person.request("GET", path)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    return {field: document[field] for field in fields}


async def test_everything_written_is_read_back(person: Person) -> None:
    profile = await read(person, "/users/profile", USERS)
    assert profile | {"first_name": "Anna", "last_name": "Brandt", "timezone": "Europe/Berlin"} == profile
    assert (profile["email"], profile["subscription_tier"], profile["phone"]) == (person.email, "free", "+4930123456")

    pet_id = await stored(person, "/pets", PET)
    pet = await read(person, f"/pets/{pet_id}", PETS)
    assert pet | PET == pet
    assert pet["owner_id"] == profile["id"]

    record_id = await stored(person, f"/health-records/pets/{pet_id}/records", RECORD)
    record = await read(person, f"/health-records/records/{record_id}", RECORDS)
    assert record | RECORD == record
    assert Decimal(str(record["cost"])) == Decimal("62.50")

    reminder_id = await stored(person, "/reminders", REMINDER | {"pet_id": pet_id})
    reminder = await read(person, f"/reminders/{reminder_id}", REMINDERS)
    told = REMINDER | {"reminder_date": "2036-01-31T07:00:00Z", "pet_id": pet_id, "is_completed": False}
    assert reminder | told == reminder
    assert reminder["user_id"] == profile["id"]


async def test_a_document_sent_back_as_it_was_read_changes_nothing(person: Person) -> None:
    """Such a client writes whole rows: read-only columns that it echoes are accepted (§3.3)."""
    pet_id = await stored(person, "/pets", PET | {"microchip_id": "276098102345679"})
    paths = {
        "/users/profile": USERS,
        f"/pets/{pet_id}": PETS,
        f"/health-records/records/{await stored(person, f'/health-records/pets/{pet_id}/records', RECORD)}": RECORDS,
        f"/reminders/{await stored(person, '/reminders', REMINDER)}": REMINDERS,
    }
    for path, fields in paths.items():
        before = await read(person, path, fields)
        answer = await person.request("PUT", path, before)
        assert answer.status_code == 200, (path, answer.text)
        after = await read(person, path, fields)
        assert after | {"updated_at": None} == before | {"updated_at": None}, path


async def test_a_changed_read_only_column_is_refused(person: Person) -> None:
    pet_id = await stored(person, "/pets", {"name": "Luna"})
    answer = await person.request("PUT", f"/pets/{pet_id}", {"owner_id": "01890000-0000-7000-8000-000000000000"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "read_only")
