"""A pet owner with a REST client: what a test does to Petfolio, in the words of the API."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.stack import Inbox

PASSWORD = "correct horse battery staple"
TOKEN = re.compile(r"token=([A-Za-z0-9_-]+)")


@dataclass(slots=True)
class Person:
    """A verified, signed-in owner with one pet."""

    client: httpx.AsyncClient
    email: str
    access_token: str = ""
    refresh_token: str = ""
    pet_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request below /api/v1, signed in."""
        headers = self.headers | options.pop("headers", {})
        return await self.client.request(method, f"/api/v1{path}", headers=headers, **options)

    async def login(self) -> None:
        """Fresh tokens; expects them."""
        answer = await self.client.post("/api/v1/auth/login", json={"email": self.email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        self.access_token, self.refresh_token = answer.json()["access_token"], answer.json()["refresh_token"]
        self.headers = {"Authorization": f"Bearer {self.access_token}"}

    async def add_pet(self, **fields: Any) -> str:
        """A pet of one's own; answers its id."""
        answer = await self.call("POST", "/pets", json={"name": "Milo", "species": "cat"} | fields)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def remind(
        self, *, due: datetime, title: str = "Tablet", headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """A daily reminder whose first occurrence is due then."""
        wall = due.astimezone(UTC).replace(microsecond=0, tzinfo=None)
        schedule = {"mode": "fixed", "dtstart_local": wall.isoformat(), "tzid": "UTC", "freq": "DAILY"}
        body = {"title": title, "schedule": schedule, "notification_methods": ["email"]}
        if self.pet_id:
            body["pet_id"] = self.pet_id
        return await self.call("POST", "/reminders", json=body | fields, headers=headers or {})

    async def titles(self) -> list[str]:
        """Of all reminders, page by page."""
        found: list[str] = []
        page: dict[str, str] = {"limit": "100"}
        while True:
            answer = await self.call("GET", "/reminders", params=page)
            assert answer.status_code == 200, answer.text
            found += [item["title"] for item in answer.json()["items"]]
            if (cursor := answer.json()["next_cursor"]) is None:
                return found
            page["cursor"] = cursor


async def sign_up(client: httpx.AsyncClient, inbox: Inbox, **fields: Any) -> Person:
    """Register, open the mailed link's token, sign in, add a pet: through the API alone."""
    person = Person(client, f"{secrets.token_hex(6)}@example.test")
    answer = await client.post("/api/v1/auth/register", json={"email": person.email, "password": PASSWORD} | fields)
    assert answer.status_code == 202, answer.text
    mail = await inbox.mail_with(person.email, "token=")
    found = TOKEN.search(mail["text"])
    assert found is not None
    answer = await client.post("/api/v1/auth/verify-email", json={"token": found[1]})
    assert answer.status_code in (200, 204), answer.text
    await person.login()
    person.pet_id = await person.add_pet()
    return person


def soon(seconds: float) -> datetime:
    """A whole second at least `seconds` from now."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds + 1)
