"""What the api writes while people use it, and while they make mistakes: ids, never words of theirs."""

import asyncio
import secrets

import httpx

from core.db import Database
from core.settings import Settings
from tests.api.signing_in import PASSWORD, Api, Person, bearer
from tests.api.test_process import api_server
from tests.privacy.test_at_rest import Canaries, furnished


async def test_nothing_that_people_type_or_hold_is_in_the_logs(settings: Settings, db: Database, api: Api) -> None:
    canaries = Canaries()
    person = await furnished(api, canaries)
    async with api_server(settings, PETFOLIO_LOG_LEVEL="debug", PETFOLIO_API__DOCS="true") as (process, http):
        assert process.stdout is not None
        log: list[bytes] = []
        reading = asyncio.create_task(_read(process.stdout, log))
        await _use_and_misuse(http, person, canaries)
        process.terminate()
        await process.wait()
        await reading
    said = b"".join(log).decode()
    assert said.count('"event":"request"') >= 10, "the log was read"
    held = [person.access_token, person.refresh_token, PASSWORD, *canaries.words]
    assert not [word for word in held if word.lower() in said.lower()]


async def _use_and_misuse(http: httpx.AsyncClient, person: Person, canaries: Canaries) -> None:
    """Reads, refusals of every kind, and bodies that are none."""
    own, wrong = bearer(person.access_token), canaries.new("password")
    pets = (await http.get("/api/v1/pets", headers=own)).json()["items"]
    path = f"/api/v1/pets/{pets[0]['id']}"
    stranger = f"{canaries.new('stranger')}@example.test"
    for method, url, body in (
        ("PUT", path, {"name": canaries.new("name"), canaries.new("field"): 1}),
        ("PUT", path, {"date_of_birth": canaries.new("date")}),
        ("GET", f"/api/v1/pets?cursor={canaries.new('cursor')}", None),
        ("GET", f"/api/v1/pets/{canaries.new('id')}", None),
        ("GET", f"/api/v1/{canaries.new('path')}", None),
        ("POST", "/api/v1/auth/login", {"email": person.email, "password": wrong}),
        ("POST", "/api/v1/auth/login", {"email": stranger, "password": wrong}),
        ("POST", "/api/v1/auth/register", {"email": stranger, "password": wrong, "phone": canaries.new("phone")}),
        ("POST", "/api/v1/auth/verify-email", {"token": canaries.new("token")}),
        ("POST", "/api/v1/auth/refresh-token", {"refresh_token": canaries.new("refresh")}),
        ("GET", f"/verify-email?token={canaries.new('link')}", None),
    ):
        await http.request(method, url, json=body, headers=own)
    await http.get("/api/v1/pets", headers=bearer(secrets.token_urlsafe(200)))
    await http.post(
        "/api/v1/pets",
        content=f'{{"name": "{canaries.new("broken")}',
        headers={**own, "Content-Type": "application/json"},
    )


async def _read(stream: asyncio.StreamReader, log: list[bytes]) -> None:
    async for line in stream:
        log.append(line)
