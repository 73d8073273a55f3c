"""Devices over HTTP: registered again and again as one, told only while their session lasts, never shown to others."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from core.db import Database
from tests.api.signing_in import Api, Person
from tests.api.test_reminders import person, settings

__all__ = ["person", "settings"]
KEYS = {
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}


def phone(token: str | None = None, **more: Any) -> dict[str, Any]:
    return {"kind": "fcm", "token": token or uuid4().hex, **more}


def browser(endpoint: str | None = None, **more: Any) -> dict[str, Any]:
    endpoint = endpoint or f"https://updates.push.services.mozilla.com/wpush/v2/{uuid4().hex}"
    return {"kind": "webpush", "subscription": {"endpoint": endpoint, "expirationTime": None, "keys": KEYS}, **more}


async def register(person: Person, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = await person.request("POST", "/devices", body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def devices(person: Person) -> list[dict[str, Any]]:
    return list((await person.request("GET", "/devices")).json()["items"])


async def test_a_phone_and_a_browser_are_registered_and_listed(person: Person) -> None:
    first = await register(person, phone(label="  Anna's phone "))
    second = await register(person, browser())
    assert await devices(person) == [first, second]
    assert (first["kind"], first["label"], first["current"]) == ("fcm", "Anna's phone", True)


async def test_an_app_that_registers_at_every_start_is_one_device(person: Person) -> None:
    body = browser(label="Kitchen")
    answers = await asyncio.gather(*(register(person, body) for _ in range(5)))
    assert len({answer["id"] for answer in answers}) == 1
    again = await register(person, body | {"label": "Office"})
    assert (again["id"], again["label"]) == (answers[0]["id"], "Office")
    assert len(await devices(person)) == 1


async def test_its_token_is_sealed_and_shown_to_nobody(person: Person, db: Database) -> None:
    token = uuid4().hex
    made = await register(person, phone(token))
    row = await db.reads.fetchrow("SELECT * FROM devices WHERE id = $1::uuid", made["id"])
    assert row is not None
    assert token not in str(dict(row))
    assert token not in json.dumps(await devices(person))


async def test_a_phone_that_changed_hands_tells_its_new_owner_only(person: Person, api: Api) -> None:
    body, other = phone(), await api.person()
    await register(person, body)
    await register(other, body)
    assert await devices(person) == []
    assert len(await devices(other)) == 1


async def test_signing_out_is_the_end_of_messages_to_it_and_signing_in_brings_it_back(person: Person, api: Api) -> None:
    body = phone()
    made = await register(person, body)
    tokens = (await api.login(person.email)).json()
    again = Person(api, person.email, tokens["access_token"], tokens["refresh_token"])
    assert [device["current"] for device in await devices(again)] == [False]
    await person.request("POST", "/auth/logout")
    assert await devices(again) == []
    assert (await register(again, body))["id"] == made["id"]
    assert [device["current"] for device in await devices(again)] == [True]


async def test_a_device_is_deleted_by_its_owner_only(person: Person, api: Api) -> None:
    made, stranger = await register(person, phone()), await api.person()
    assert (await stranger.request("DELETE", f"/devices/{made['id']}")).status_code == 404
    assert (await person.request("DELETE", f"/devices/{made['id']}")).status_code == 204
    assert (await person.request("DELETE", f"/devices/{made['id']}")).status_code == 404
    assert await devices(person) == []


async def test_of_more_than_twenty_the_one_heard_of_longest_ago_goes(person: Person) -> None:
    made = [await register(person, phone()) for _ in range(21)]
    assert [device["id"] for device in await devices(person)] == [each["id"] for each in made[1:]]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:8000/",
        "https://evil.test/",
        "https://push.apple.com@evil.test/",
        "http://169.254.169.254/",
        "ftp://x",
    ],
)
async def test_nobody_makes_us_call_addresses_of_their_choice(person: Person, endpoint: str) -> None:
    problem = await register(person, browser(endpoint), status=422)
    assert problem["errors"][0]["pointer"] == "/subscription/endpoint"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "pager"},
        {"kind": "fcm"},
        phone("short"),
        phone("with space in it"),
        phone(label=""),
        browser() | {"token": "x" * 20},
        {"kind": "webpush", "subscription": {"endpoint": "https://push.apple.com/1"}},
        {
            "kind": "webpush",
            "subscription": {"endpoint": "https://push.apple.com/1", "keys": {"p256dh": "!", "auth": "!"}},
        },
    ],
    ids=range(9),
)
async def test_what_is_no_device_is_refused(person: Person, body: dict[str, Any]) -> None:
    await register(person, body, status=422)


async def test_browsers_subscribe_with_a_key_that_stays(person: Person) -> None:
    keys = {(await person.request("GET", "/devices/vapid-key")).json()["public_key"] for _ in range(2)}
    (key,) = keys
    assert len(key) == 87
    assert key.startswith("B")  # 0x04: an uncompressed point
