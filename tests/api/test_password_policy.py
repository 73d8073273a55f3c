"""Which passwords people may choose, as they see it: when signing up, when changing, when resetting."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text
from sqlmodel import col

from core.db import Database
from core.settings import PasswordSettings, Settings
from models.audit import AuditEntry
from models.user import User
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, said

STOLEN = "quiet otters audit the lighthouse"
"""Nobody but the list knows it: zxcvbn finds it strong."""


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


def refused(answer: httpx.Response) -> list[str]:
    """The reasons of a refusal, in order."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == 422, answer.text
    assert {error["pointer"] for error in body["errors"]} == {"/password"}
    assert body["code"] == body["errors"][0]["code"]
    return [error["code"] for error in body["errors"]]


@pytest.mark.parametrize(
    ("password", "reasons"),
    [
        ("fourteen chars", ["too_short"]),
        ("petfolio2026", ["too_short", "contextual"]),
        ("x" * 129, ["too_long"]),
        ("grace.hopper@example.test", ["contextual"]),
        ("Grace.Hopper1906", ["contextual"]),
        ("grace grace grace 1906", ["contextual"]),
        ("petfolio-petfolio-2026", ["contextual"]),
        ("1QAZ2wsx3edc4rfv", ["common", "guessable"]),
        ("passwordpassword", ["guessable"]),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", ["guessable"]),
        ("qwertyuiopqwertyuiop", ["guessable"]),
        ("Password12345678", ["guessable"]),
    ],
)
async def test_signing_up_with_a_weak_password_is_refused_with_every_reason(
    api: Api, password: str, reasons: list[str]
) -> None:
    email = "grace.hopper@example.test"
    answer = await api.register(email, password=password, first_name="Grace", last_name="Hopper")
    assert refused(answer) == reasons
    assert password not in answer.text
    assert await api.user(email) is None


async def test_a_long_unusual_password_of_any_characters_is_welcome(api: Api) -> None:
    for number, password in enumerate(
        ("日本語のパスワードは長いほうがいいです", "seven herons 🐈 harbour", "p" + "wJ4!x9#Qz2$Lm7")
    ):
        assert (await api.register(f"welcome{number}@example.test", password=password)).status_code == 202


async def test_a_refusal_takes_no_account_into_account(api: Api) -> None:
    """The pets of whoever has the address already would tell a stranger what they are called."""
    person = await api.person(first_name="Ada")
    await person.request("POST", "/pets", {"name": "Zwetschge"})
    password = "Zwetschge Zwetschge 7"
    assert refused(await change(person, password)) == ["contextual"]
    answers = [await api.register(email, password=password) for email in (person.email, "nobody-yet@example.test")]
    assert said(answers[0]) == said(answers[1])


async def test_whoever_is_signed_in_may_not_choose_what_their_pets_and_they_are_called(api: Api) -> None:
    person = await api.person(first_name="Wilhelmina", last_name="Quartermaine")
    await person.request("POST", "/pets", {"name": "Zwetschgenknödel"})
    for password in ("Zwetschgenknödel-2026", "wilhelmina quartermaine", person.email):
        assert refused(await change(person, password)) == ["contextual"]
    assert (await change(person, "Zwetschgenknödel snores under seven blankets")).status_code == 204


async def test_fifteen_characters_alone_eight_with_a_second_factor_and_the_account_knows_which(api: Api) -> None:
    person = await api.person()
    assert refused(await change(person, "vT7#qLw2!")) == ["too_short"]
    assert await stands_alone(api, person)
    async with api.identity.db.sessions.begin() as session:
        statement = "INSERT INTO mfa_totp (user_id, secret_ct, confirmed_at) VALUES (:id, 'sealed', :confirmed)"
        await session.execute(text(statement), {"id": person.user_id, "confirmed": None})
    assert refused(await change(person, "vT7#qLw2!")) == ["too_short"], "an unconfirmed factor is none"
    async with api.identity.db.sessions.begin() as session:
        await session.execute(
            text("UPDATE mfa_totp SET confirmed_at = now() WHERE user_id = :id"), {"id": person.user_id}
        )
    assert refused(await change(person, "vT7#qLw")) == ["too_short"]
    assert refused(await change(person, "letmein1")) == ["common", "guessable"]
    assert (await change(person, "vT7#qLw2!")).status_code == 204
    assert not await stands_alone(api, person)
    assert (await change(person, PASSWORD)).status_code == 204
    assert await stands_alone(api, person)


async def test_a_password_of_the_operators_list_is_breached(settings: Settings, db: Database, tmp_path: Path) -> None:
    listed = tmp_path / "pwned.txt"
    digests = sorted(hashlib.sha1(word.encode()).hexdigest().upper() for word in (STOLEN, "another", "third"))
    listed.write_text("".join(f"{digest}:12\r\n" for digest in digests))
    passwords = PasswordSettings(breached_file=listed)
    async with api_process(settings.model_copy(update={"rate_limits": OPEN, "passwords": passwords})) as process:
        assert refused(await process.register("listed@example.test", password=STOLEN)) == ["breached"]
        assert (await process.register("listed@example.test", password=f"{STOLEN}.")).status_code == 202


async def test_while_the_range_api_is_away_people_sign_up_and_the_log_says_so(settings: Settings, db: Database) -> None:
    passwords = PasswordSettings(breached_api="http://127.0.0.1:9")
    async with api_process(settings.model_copy(update={"rate_limits": OPEN, "passwords": passwords})) as process:
        assert (await process.register("unlisted@example.test", password=STOLEN)).status_code == 202
        async with process.identity.db.sessions() as session:
            mine = select(AuditEntry.outcome).where(col(AuditEntry.action) == "password.breach_check")
            assert (await session.scalars(mine)).all() == ["unavailable"]


async def change(person: Person, password: str) -> httpx.Response:
    return await person.request("PUT", "/users/password", {"password": password})


async def stands_alone(api: Api, person: Person) -> bool:
    async with api.identity.db.sessions() as session:
        query = select(col(User.password_single_factor_ok)).where(col(User.id) == person.user_id)
        return (await session.scalars(query)).one()
