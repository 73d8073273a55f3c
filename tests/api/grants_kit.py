"""What tests of grants share: sitters who have accepted, and grants whose time passes at once."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.db import Database
from tests.api.household_kit import home_of
from tests.api.signing_in import Person

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY"}


def ahead(**time: float) -> str:
    """An instant that far from now, as JSON."""
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


async def made(person: Person, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a POST made."""
    answer = await person.request("POST", path, body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def pet_of(owner: Person, name: str = "Milo", **fields: Any) -> str:
    """A new pet of theirs."""
    return str((await made(owner, "/pets", {"name": name, **fields}))["id"])


async def remind(owner: Person, pet_id: str | None, **fields: Any) -> tuple[str, str]:
    """(reminder, its first occurrence), due at 08:00 in June 2036."""
    reminder = await made(owner, "/reminders", {"title": "Tablet", "schedule": DAILY, "pet_id": pet_id, **fields})
    diary = (await owner.request("GET", f"/reminders/{reminder['id']}/occurrences")).json()["items"]
    return str(reminder["id"]), str(diary[0]["id"])


async def grants_path(owner: Person) -> str:
    """Where the owner's grants are."""
    return f"/households/{await home_of(owner)}/grants"


async def offer(owner: Person, email: str, *pet_ids: str, **fields: Any) -> dict[str, Any]:
    """A grant that nobody has accepted."""
    body = {"kind": "sitter", "email": email, "pet_ids": list(pet_ids), "valid_until": ahead(days=7), **fields}
    return await made(owner, await grants_path(owner), body)


async def sitter(owner: Person, *pet_ids: str, actions: tuple[str, ...] = ("act",), **fields: Any) -> Person:
    """Somebody who has accepted to look after these pets."""
    person = await owner.api.person(first_name="Sam")
    grant = await offer(owner, person.email, *pet_ids, actions=list(actions), **fields)
    answer = await person.request("POST", f"/grants/{grant['id']}/accept")
    assert answer.status_code == 204, answer.text
    return person


async def vet_link(owner: Person, *pet_ids: str, **fields: Any) -> tuple[dict[str, Any], str]:
    """A link for a vet, and the path below /api/v1 that its page reads."""
    body = {"kind": "vet", "label": "Dr Herriot", "pet_ids": list(pet_ids), **fields}
    grant = await made(owner, await grants_path(owner), body)
    return grant, f"/v/{grant['url'].rpartition('/')[2]}"


async def ends(db: Database, *, user_id: UUID | None = None, grant_id: str | None = None) -> None:
    """The time of a grant has just passed; no workflow knows."""
    async with db.sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE grants SET valid_from = least(valid_from, clock_timestamp() - interval '2 s'),"
                " valid_until = clock_timestamp() WHERE user_id = :user_id OR id = CAST(:grant_id AS uuid)"
            ),
            {"user_id": user_id, "grant_id": grant_id},
        )
