"""Sensitive operations ask for a proof of the last five minutes; giving one renews the session that asks."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import jwt as pyjwt
import pytest
from sqlalchemy import text, update
from sqlmodel import col

from core.db import Database
from core.settings import Settings
from domain.auth import assurance_level
from models.session import Session
from tests.api.second_factor import early_in_a_step, forget_steps, with_app, with_passkey
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, audit_of, ended_meanwhile
from tests.authenticator import Authenticator


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


@pytest.fixture
async def person(api: Api) -> Person:
    """Somebody who signed in six minutes ago."""
    person = await api.person()
    async with api.identity.db.sessions.begin() as session:
        mine = update(Session).where(col(Session.user_id) == person.user_id)
        await session.execute(mine.values(auth_time=col(Session.auth_time) - timedelta(minutes=6)))
    answer = (await person.refresh()).json()
    person.access_token, person.refresh_token = answer["access_token"], answer["refresh_token"]
    return person


async def prove(person: Person, password: str = PASSWORD) -> str:
    """The access token after proving it."""
    answer = await person.api.post("/auth/step-up", {"password": password}, person.access_token)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
    return str(answer.json()["access_token"])


async def sensitive(person: Person, token: str) -> tuple[int, str]:
    """Something that only a fresh proof opens, and its code."""
    answer = await person.api.delete("/users/account", token)
    return answer.status_code, answer.json().get("code", "")


async def test_an_old_proof_is_refused_and_a_new_one_opens(api: Api, person: Person) -> None:
    assert await sensitive(person, person.access_token) == (403, "step_up_required")
    token = await prove(person)
    before, after = api.identity.tokens.verify(person.access_token), api.identity.tokens.verify(token)
    assert (after.user_id, after.session_id) == (before.user_id, before.session_id)
    assert after.auth_time - before.auth_time >= timedelta(minutes=6)
    assert await sensitive(person, person.access_token) == (403, "step_up_required")
    assert (await sensitive(person, token))[0] == 202


async def test_the_proof_stays_with_the_session_and_with_no_other(person: Person) -> None:
    other = (await person.api.login(person.email)).json()["refresh_token"]
    async with person.api.identity.db.sessions.begin() as session:
        mine = update(Session).where(col(Session.user_id) == person.user_id)
        await session.execute(mine.values(auth_time=col(Session.auth_time) - timedelta(minutes=6)))
    await prove(person)
    elsewhere = (await person.refresh(other)).json()["access_token"]
    assert await sensitive(person, elsewhere) == (403, "step_up_required")
    refreshed = (await person.refresh()).json()["access_token"]
    assert (await sensitive(person, refreshed))[0] == 202


async def test_a_wrong_password_proves_nothing_and_ends_nothing(api: Api, person: Person) -> None:
    answer = await api.post("/auth/step-up", {"password": "not the password"}, person.access_token)
    assert (answer.status_code, answer.json()["code"]) == (403, "password_wrong")
    assert await person.is_let_in()
    assert await sensitive(person, (await person.refresh()).json()["access_token"]) == (403, "step_up_required")
    await prove(person)
    log = [entry for entry in await audit_of(api, person.email) if entry[0] == "auth.step_up"]
    assert log == [("auth.step_up", "refused"), ("auth.step_up", "ok")]


async def test_guessing_is_counted_against_the_account_also_in_parallel(api: Api, person: Person) -> None:
    guesses = [api.post("/auth/step-up", {"password": f"guess {n}"}, person.access_token) for n in range(20)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*guesses))
    assert statuses == [403] * 6 + [429] * 14
    late = await api.post("/auth/step-up", {"password": PASSWORD}, person.access_token)
    assert (late.status_code, "retry-after" in late.headers) == (429, True)
    assert (await api.login(person.email)).status_code == 429, "it is one account, however one guesses"
    assert await person.is_let_in()


@pytest.mark.parametrize("body", [{}, {"password": None}, {"totp": "123456"}, {"method": "password"}, []])
async def test_a_body_without_a_proof_is_refused(api: Api, person: Person, body: object) -> None:
    answer = await api.post("/auth/step-up", body, person.access_token)
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_nobody_steps_up_without_a_live_session(api: Api, person: Person) -> None:
    assert (await api.post("/auth/step-up", {"password": PASSWORD})).status_code == 401
    assert (await api.post("/auth/step-up", {"password": PASSWORD}, person.refresh_token)).status_code == 401
    await api.post("/auth/logout", token=person.access_token)
    assert (await api.post("/auth/step-up", {"password": PASSWORD}, person.access_token)).status_code == 401


async def test_a_session_that_ends_while_its_owner_proves_it_stays_ended(api: Api, person: Person) -> None:
    proofs = [api.post("/auth/step-up", {"password": PASSWORD}, person.access_token) for _ in range(3)]
    tasks = [asyncio.create_task(proof) for proof in proofs]
    assert (await api.post("/auth/logout-all", token=person.access_token)).status_code == 204
    for answer in await asyncio.gather(*tasks):
        assert answer.status_code in (200, 401)
        if answer.status_code == 200:
            assert not await person.is_let_in(answer.json()["access_token"])
    assert (await person.refresh()).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/users/password", {"password": "mallory has another plan"}),
        ("POST", "/users/email", {"email": "mallory@example.test"}),
        ("DELETE", "/users/account", None),
        ("DELETE", "/users/identities/00000000-0000-0000-0000-000000000000", None),
        ("POST", "/auth/mfa/totp", None),
        ("POST", "/auth/mfa/totp/confirm", {"code": "123456"}),
        ("DELETE", "/auth/mfa/totp", None),
        ("POST", "/auth/mfa/recovery-codes", None),
        ("PATCH", "/auth/passkeys/00000000-0000-0000-0000-000000000000", {"name": "Mine"}),
        ("DELETE", "/auth/passkeys/00000000-0000-0000-0000-000000000000", None),
        ("POST", "/auth/step-up", {"password": PASSWORD}),
    ],
)
async def test_whoever_is_signed_out_while_they_change_something_sensitive_changes_nothing(
    api: Api, method: str, path: str, body: object
) -> None:
    thief = await api.person()
    answer = await ended_meanwhile(api, thief, thief.request(method, path, body))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert (await api.login(thief.email)).status_code == 200


async def test_a_passkey_of_whoever_is_signed_out_meanwhile_is_not_added(api: Api) -> None:
    thief = await api.person()
    options = (await thief.request("POST", "/auth/passkeys/registration-options")).json()
    adding = thief.request("POST", "/auth/passkeys", {"credential": Authenticator().create(options)})
    assert (await ended_meanwhile(api, thief, adding)).status_code == 401
    assert (await api.login(thief.email)).status_code == 200, "no second factor is asked for"


@pytest.mark.parametrize("end", ["idle_expires_at", "absolute_expires_at"])
async def test_stepping_up_does_not_outlive_the_end_of_the_session(api: Api, person: Person, end: str) -> None:
    async with api.identity.db.sessions.begin() as session:
        over = update(Session).where(col(Session.user_id) == person.user_id)
        await session.execute(over.values({end: text("clock_timestamp()")}))
    answer = await api.post("/auth/step-up", {"password": PASSWORD}, person.access_token)
    assert answer.status_code == 401, answer.text


async def test_the_token_says_by_what_it_was_proven(api: Api, person: Person) -> None:
    claims = pyjwt.decode(await prove(person), options={"verify_signature": False})
    assert (claims["amr"], claims["acr"]) == (["pwd"], "aal1")


@pytest.mark.parametrize(
    ("amr", "level"), [(["pwd"], "aal1"), (["otp"], "aal1"), (["pwd", "otp"], "aal2"), (["pwd", "fed"], "aal1")]
)
def test_two_proofs_are_two_factors_when_one_is_something_that_one_has(amr: list[str], level: str) -> None:
    assert assurance_level(amr) == level


@pytest.mark.parametrize("factor", ["code", "recovery_code", "passkey"])
async def test_a_second_factor_proves_it_too_once_and_never_that_of_another(api: Api, factor: str) -> None:
    person, other = await api.person(), await api.person()
    proofs: list[object] = []
    if factor == "passkey":
        authenticator = await with_passkey(person)
        options = (await person.request("POST", "/auth/passkeys/step-up-options")).json()
        proofs = [authenticator.get(options)]
    else:
        app = await with_app(person)
        if factor == "recovery_code":
            codes = (await person.request("POST", "/auth/mfa/recovery-codes")).json()["codes"]
            proofs = [codes[0]]
        else:
            await forget_steps(api)
            await early_in_a_step()
            proofs = [app.code()]
    (given,) = proofs
    stolen = await other.request("POST", "/auth/step-up", {factor: given})
    assert stolen.status_code == 403
    if factor == "passkey":  # the attempt of another spent its challenge
        given = authenticator.get((await person.request("POST", "/auth/passkeys/step-up-options")).json())
    answer = await person.request("POST", "/auth/step-up", {factor: given})
    assert answer.status_code == 200, answer.text
    again = await person.request("POST", "/auth/step-up", {factor: given})
    assert (again.status_code, again.json()["code"]) == (403, f"{factor}_wrong")


@pytest.mark.parametrize("proof", [{"code": "12345"}, {"code": "١٢٣٤٥٦"}, {"code": ""}, {"recovery_code": "ABCD"}])
async def test_a_typing_error_is_named_and_not_counted(api: Api, person: Person, proof: dict[str, str]) -> None:
    for _ in range(6):
        refused = await api.post("/auth/step-up", proof, person.access_token)
        assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    await prove(person)


async def test_exactly_one_proof_is_asked_for(api: Api) -> None:
    person = await api.person()
    for body in ({}, {"password": PASSWORD, "code": "123456"}):
        refused = await person.request("POST", "/auth/step-up", body)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "one_proof")
