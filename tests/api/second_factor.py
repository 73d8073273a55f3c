"""What tests of second factors share: a person with an authenticator app or a passkey, half or fully signed in."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import jwt as pyjwt
import pyotp
from sqlalchemy import text

from api.identity import Identity
from tests.api.signing_in import Api, Person
from tests.authenticator import Authenticator

Json = dict[str, Any]


class App:
    """An authenticator app. A code of the step to come is taken too, so no test depends on the second it runs in."""

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret)

    def code(self, steps: int = 0) -> str:
        return self._totp.at(time.time() + 30 * steps)

    def wrong_code(self) -> str:
        near = {self.code(steps) for steps in range(-3, 4)}
        return next(code for code in (digit * 6 for digit in "01234567") if code not in near)


async def with_app(person: Person) -> App:
    """Set up an authenticator app; the code of the present step is used up by that."""
    begun = await person.request("POST", "/auth/mfa/totp")
    assert begun.status_code == 200, begun.text
    app = App(begun.json()["secret"])
    confirmed = await person.request("POST", "/auth/mfa/totp/confirm", {"code": app.code()})
    assert confirmed.status_code == 204, confirmed.text
    return app


async def with_passkey(person: Person, name: str | None = None, **traits: Any) -> Authenticator:
    """Register a passkey."""
    authenticator = Authenticator(**traits)
    answer = await register(person, authenticator, name)
    assert answer.status_code == 201, answer.text
    return authenticator


async def register(person: Person, authenticator: Authenticator, name: str | None = None) -> httpx.Response:
    options = await person.request("POST", "/auth/passkeys/registration-options")
    assert options.status_code == 200, options.text
    body = {"credential": authenticator.create(options.json()), "name": name}
    return await person.request("POST", "/auth/passkeys", body)


async def challenge_of(api: Api, email: str, **more: Any) -> str:
    """The challenge after the right password."""
    answer = await api.login(email, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["challenge"])


async def answer_with(api: Api, challenge: str, **proof: Any) -> httpx.Response:
    return await api.post("/auth/mfa/challenge", {"challenge": challenge, **proof})


async def forget_steps(api: Api) -> None:
    """As if the last code had been used long ago: nobody waits for a clock."""
    async with api.identity.db.sessions.begin() as session:
        await session.execute(text("UPDATE mfa_totp SET last_step = 0"))


async def early_in_a_step() -> None:
    """Wait until the present step lasts for a while: what follows counts steps exactly."""
    while time.time() % 30 > 15:
        await asyncio.sleep(0.05)


def claims(token: str) -> Json:
    return dict(pyjwt.decode(token, options={"verify_signature": False}))


def stale(identity: Identity, person: Person) -> str:
    """The person's token as it would be if they had signed in six minutes ago."""
    session_id = identity.tokens.verify(person.access_token).session_id
    return identity.tokens.mint(person.user_id, session_id, datetime.now(UTC) - timedelta(minutes=6), ["pwd"])


async def kinds(person: Person) -> list[str]:
    """What the lines in the app are about, the newest first."""
    answer = await person.request("GET", "/notifications")
    assert answer.status_code == 200, answer.text
    return [line["kind"] for line in answer.json()["items"]]


async def has_password_for_one_factor(api: Api, user_id: UUID, *, ok: bool) -> None:
    async with api.identity.db.sessions.begin() as session:
        await session.execute(
            text("UPDATE users SET password_single_factor_ok = :ok WHERE id = :id"), {"ok": ok, "id": user_id}
        )
