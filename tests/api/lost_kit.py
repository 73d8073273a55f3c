"""What tests of lost pets share: a household of two owners, a caretaker and a sitter, its cat, and the tag of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select, text
from sqlmodel import col

from core.db import Database
from core.ids import new_id
from domain.access import Role
from models.household import Grant, GrantKind, Membership
from models.notification import Delivery
from tests.api.signing_in import Api, Person

PHONE = "+4930123456789"


@dataclass
class Family:
    """`stranger` belongs to nobody here."""

    api: Api
    db: Database
    owner: Person
    partner: Person
    caretaker: Person
    sitter: Person
    stranger: Person
    pet: str
    household: str

    @property
    def path(self) -> str:
        return f"/pets/{self.pet}"

    async def tag(self, *shown: str, by: Person | None = None, **more: Any) -> dict[str, Any]:
        """The tag as it is once somebody has saved it."""
        body = {"shown": list(shown)} | more
        answer = await (by or self.owner).request("PUT", f"{self.path}/tag", body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def lose(self, by: Person | None = None, **body: Any) -> dict[str, Any]:
        """The search that somebody has opened."""
        answer = await (by or self.owner).request("POST", f"{self.path}/lost", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def scan(self, code: str) -> dict[str, Any]:
        """What a program reads behind the tag."""
        answer = await self.api.get(f"/p/{code}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def look(self, code: str, language: str = "en") -> httpx.Response:
        """What a person sees who scans it."""
        return await self.api.http.get(f"/p/{code}", headers={"Accept-Language": language})

    async def write(self, code: str, message: str = "She sits below our car.", **more: str) -> httpx.Response:
        """What a finder sends."""
        return await self.api.post(f"/p/{code}/sightings", {"message": message} | more)

    async def sightings(self, by: Person | None = None) -> list[dict[str, Any]]:
        """What finders wrote, the newest first."""
        answer = await (by or self.owner).request("GET", f"{self.path}/sightings")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def told(self, person: Person, template: str) -> set[str]:
        """On which channels somebody was, or will be, told of it."""
        async with self.db.sessions() as session:
            rows = select(col(Delivery.channel)).where(
                col(Delivery.user_id) == person.user_id, col(Delivery.template) == template
            )
            return set(await session.scalars(rows))

    async def lines(self, person: Person, kind: str) -> list[dict[str, Any]]:
        """Their lines in the app, the newest first."""
        items = (await person.request("GET", "/notifications")).json()["items"]
        return [line["params"] for line in items if line["kind"] == kind]

    async def rows(self, sql: str, **values: object) -> Sequence[Any]:
        """What the database holds."""
        async with self.db.sessions() as session:
            return (await session.execute(text(sql), values)).all()

    async def execute(self, sql: str, **values: object) -> None:
        """A change behind the platform's back."""
        async with self.db.sessions.begin() as session:
            await session.execute(text(sql), values)


async def family(api: Api, db: Database) -> Family:
    """A family of its own."""
    owner = await api.person(first_name="Ada", phone=PHONE)
    partner, caretaker = await api.person(first_name="Bob"), await api.person(first_name="Cleo")
    home = Family(api, db, owner, partner, caretaker, await api.person(), await api.person(), "", "")
    home = await with_pet(home)
    household = UUID(home.household)
    async with db.sessions.begin() as session:
        session.add(Membership(household_id=household, user_id=partner.user_id, role=Role.OWNER))
        session.add(Membership(household_id=household, user_id=caretaker.user_id, role=Role.CARETAKER))
    return home


async def with_pet(home: Family) -> Family:
    """The same people with another cat, which the sitter looks after; those of before have been given away."""
    if home.household:
        await home.execute("UPDATE pets SET status = 'archived' WHERE household_id = :id", id=UUID(home.household))
    made = await home.owner.request("POST", "/pets", {"name": "Milo", "species": "cat", "breed": "Birman"})
    pet, now = made.json(), datetime.now(UTC)
    async with home.db.sessions.begin() as session:
        session.add(
            Grant(
                id=new_id(),
                household_id=UUID(pet["household_id"]),
                kind=GrantKind.SITTER,
                granted_by=home.owner.user_id,
                user_id=home.sitter.user_id,
                pet_ids=[UUID(pet["id"])],
                actions=["act"],
                valid_from=now - timedelta(days=1),
                valid_until=now + timedelta(days=1),
            )
        )
    return replace(home, pet=pet["id"], household=pet["household_id"])
