"""Somebody whom a reminder reaches on every channel of the local stack."""

import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from infra.local.ports import OFFSETS
from tests.person import Person, sign_up
from tests.stack import Inbox, Stack


@dataclass(frozen=True, slots=True)
class Reachable:
    """Who agreed to text messages and signed in with a phone and a browser; all as the inbox names them."""

    person: Person
    number: str
    phone: str
    browser: str


async def push_service(stack: Stack) -> httpx.AsyncClient:
    """The emulator of FCM and of the browsers' push service; the caller closes it."""
    api = urlsplit((await stack.status())["api_url"]).port or 0
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{api - OFFSETS['api'] + OFFSETS['push']}", timeout=20)


async def sign_up_reachable(
    client: httpx.AsyncClient, inbox: Inbox, push: httpx.AsyncClient, **fields: str
) -> Reachable:
    """A new person with everything a reminder can use."""
    number = f"+4930{secrets.randbelow(10**6) + 10**6}"
    person = await sign_up(client, inbox, phone=number, **fields)
    consents = {item["purpose"]: item for item in (await person.call("GET", "/users/consents")).json()["items"]}
    agreed = {"purpose": "sms", "action": "granted", "wording": consents["sms"]["wording"]}
    assert (await person.call("POST", "/users/consents", json=agreed)).status_code == 200
    subscription = (await push.post("/_control/subscriptions")).json()
    token = secrets.token_hex(16)
    for device in ({"kind": "fcm", "token": token}, {"kind": "webpush", "subscription": subscription}):
        answer = await person.call("POST", "/devices", json=device)
        assert answer.status_code == 201, answer.text
    return Reachable(person, number, token, subscription["endpoint"].rpartition("/")[2].lower())
