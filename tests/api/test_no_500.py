"""Every operation, hostile values: a 4xx problem document (or a success), never a 5xx, never an echo."""

import json
from collections import defaultdict
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from core.settings import Settings
from domain.billing.catalogue import Tier
from tests.api.plans_kit import entitle
from tests.api.signing_in import OPEN, Api, Person, bearer
from tests.api.test_openapi import DOCUMENT, OPERATIONS, Operation

Json = Any
CANARY = "canary-6e1f"
VALUES: list[Json] = [
    None,
    True,
    -1,
    0,
    10**40,
    1e308,
    "",
    CANARY,
    "\u202e" + CANARY,
    "🐈" * 3000,
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "00000000-0000-0000-0000-000000000000",
    "'; DROP TABLE pets; --",
    [],
    [CANARY] * 60,
    [[[[[]]]]],
    {},
    {"$ref": CANARY},
    {"freq": "daily", "every": 10**9},
]
BODIES: list[bytes] = [
    b"",
    b"null",
    b"true",
    b'"text"',
    b"[]",
    b"{}",
    b'{"": 1}',
    b'{"__class__": "x"}',
    b"1e400",
    b'{"a": "\\ud800"}',
    b"\xff\xfe",
    b'{"name": "x", "name": "y"}',
]
WITHOUT_BODY = {"GET", "DELETE", "HEAD"}
# What would end the session or the account of the one who tests.
LAST = ("logout", "logout_all", "end_session", "end_other_sessions", "request_erasure")
TESTED = [operation for operation in OPERATIONS if operation.body["operationId"] not in LAST]


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """No limit on requests: a 429 would be an answer without a look at the value."""
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    person = await api.person()
    await entitle(api.identity.db, person.user_id, Tier.FAMILY)
    return person


@pytest.fixture(scope="module")
async def own(person: Person) -> dict[str, str]:
    """What the person has: so that bodies are read instead of the object not being found."""
    pet = (await person.request("POST", "/pets", {"name": "Milo"})).json()["id"]
    record = await person.request("POST", f"/pets/{pet}/records", {"record_type": "visit", "title": "Check-up"})
    once = {"title": "Walk", "reminder_date": "2030-01-01T08:00:00Z", "pet_id": pet}
    reminder = await person.request("POST", "/reminders", once)
    assert reminder.status_code == 201, reminder.text
    series = {"title": "Vet", "starts_at": "2030-01-01T08:00", "rrule": "FREQ=DAILY", "pet_id": pet}
    appointment = await person.request("POST", "/appointments", series)
    return {
        "pet_id": pet,
        "record_id": record.json()["id"],
        "reminder_id": reminder.json()["id"],
        "appointment_id": appointment.json()["id"],
        "original": "2030-01-02T08:00",
    }


async def send(person: Person, operation: Operation, path: str, body: bytes | None, **headers: str) -> None:
    """One request, and what must hold of its answer."""
    kind = {"content-type": "application/json"} if body is not None else {}
    answer = await person.api.http.request(
        operation.method, path, content=body, headers=bearer(person.access_token) | kind | headers
    )
    assert answer.status_code < 500, (str(operation), path, body, answer.text)
    # Whoever guesses passwords waits; nobody else was turned away before the value was looked at.
    waits = ("/auth/login", "/auth/step-up", "/users/password")
    assert answer.status_code != 429 or operation.path.endswith(waits), (str(operation), path, body)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", (str(operation), answer.text)
        assert CANARY not in answer.text, (str(operation), answer.text)


def paths(operation: Operation) -> list[str]:
    """The operation's path with strange parameters, and with a queer query."""
    values = [str(uuid4()), CANARY, "%00", "%ED%A0%80", "..%2f..%2fetc", "0" * 300, "🐈"]
    names = [parameter["name"] for parameter in operation.body.get("parameters", []) if parameter["in"] == "path"]
    queries = [parameter["name"] for parameter in operation.body.get("parameters", []) if parameter["in"] == "query"]
    found = []
    for value in values if names else [""]:
        path = operation.path
        for name in names:
            path = path.replace("{" + name + "}", value)
        found.append(path)
    strange = [
        "",
        "%00",
        "-1",
        "9" * 400,
        "%ED%A0%80",
        "🐈",
        "1e5",
        "null",
        "2026-13-45T99:99:99Z",
        "9999-12-31T23:59:59Z",
    ]
    found += [f"{found[0]}?{name}={value}" for name in queries for value in strange]
    return found


@pytest.mark.parametrize("operation", TESTED, ids=str)
async def test_strange_addresses(person: Person, operation: Operation) -> None:
    for path in paths(operation):
        await send(person, operation, path, None if operation.method in WITHOUT_BODY else b"{}")


@pytest.mark.parametrize("operation", TESTED, ids=str)
async def test_strange_headers(person: Person, operation: Operation) -> None:
    for name in ("If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID", "Accept", "Range"):
        for value in ("", '"', "*", "bytes=0-", CANARY * 40):
            await send(person, operation, paths(operation)[0], None, **{name: value})


@pytest.mark.parametrize("operation", [op for op in TESTED if "requestBody" in op.body], ids=str)
async def test_strange_bodies(person: Person, own: dict[str, str], operation: Operation) -> None:
    path = operation.path.format_map(defaultdict(lambda: str(uuid4()), own))
    for body in BODIES:
        await send(person, operation, path, body)
    example, fields = _example(operation)
    for field in fields:
        for value in VALUES:
            await send(person, operation, path, json.dumps(example | {field: value}).encode())


def _example(operation: Operation) -> tuple[dict[str, Json], list[str]]:
    schema = operation.body["requestBody"]["content"]["application/json"]["schema"]
    body = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return dict(body["examples"][0]), list(body.get("properties", {}))


@pytest.mark.parametrize(
    "instant",
    [
        "2937-07-11T12:10:58.32-20:00",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
        "2036-06-01T08:00:00+23:59",
    ],
)
async def test_instants_with_any_offset_and_at_the_ends_of_the_calendar(api: Api, instant: str) -> None:
    person = await api.person()
    household = (await person.request("GET", "/households")).json()["items"][0]["id"]
    reminder = await person.request("POST", "/reminders", {"title": "Tablet", "reminder_date": "2036-06-01T08:00"})
    path = f"/reminders/{reminder.json()['id']}"
    occurrence = (await person.request("GET", f"{path}/occurrences")).json()["items"][0]["id"]
    written = quote(instant)
    answers = [
        await person.request("POST", f"/occurrences/{occurrence}/snooze", {"until": instant}),
        await person.request("POST", f"/occurrences/{occurrence}/snooze", {"until_local": instant[:16]}),
        await person.request("POST", f"/households/{household}/absences", {"ends_at": instant}),
        await person.request("GET", f"/agenda?from={written}"),
        await person.request("GET", f"/integrations/calendar/events?to={written}"),
        await person.request("GET", "/agenda"),
        await person.request("GET", path),
        await person.request("POST", f"/occurrences/{occurrence}/complete", {"completed_at": instant}),
    ]
    assert [answer.status_code for answer in answers if answer.status_code >= 500] == [], answers
