"""Passkeys: as a second factor, as a way in of their own, and what a forged or borrowed one is worth."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlmodel import col

from api.ceremonies import step_up_of
from api.identity import Client
from api.proofs import prove_passkey
from core.db import Database
from core.settings import Settings, WebAuthnSettings
from models.mfa import Passkey
from models.queries import users
from models.user import User, UserState
from tests.api.second_factor import answer_with, challenge_of, claims, kinds, register, with_app, with_passkey
from tests.api.signing_in import OPEN, Api, Person, api_process, audit_of, said
from tests.authenticator import Authenticator, encode

Json = dict[str, Any]
ELSEWHERE = Client("192.0.2.7", None, None)


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


async def options_for(api: Api, challenge: str) -> Json:
    answer = await api.post("/auth/mfa/challenge/passkey-options", {"challenge": challenge})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def sign_in_options(api: Api) -> Json:
    answer = await api.post("/auth/passkeys/options")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def sign_in(api: Api, authenticator: Authenticator) -> httpx.Response:
    credential = authenticator.get(await sign_in_options(api))
    return await api.post("/auth/passkeys/sign-in", {"credential": credential})


class TestRegistering:
    async def test_it_is_listed_renamed_and_removed(self, api: Api) -> None:
        person = await api.person()
        await with_passkey(person, "My phone", synced=True)
        (passkey,) = (await person.request("GET", "/auth/passkeys")).json()["items"]
        assert {name: passkey[name] for name in ("name", "backed_up", "transports", "last_used_at")} == {
            "name": "My phone",
            "backed_up": True,
            "transports": ["internal"],
            "last_used_at": None,
        }
        path = f"/auth/passkeys/{passkey['id']}"
        assert (await person.request("PATCH", path, {"name": "Mine"})).json()["name"] == "Mine"
        assert (await person.request("PATCH", path, {"name": None})).json()["name"] is None
        assert (await person.request("DELETE", path)).status_code == 204
        assert (await person.request("DELETE", path)).status_code == 404
        assert (await api.login(person.email)).status_code == 200
        assert await kinds(person) == ["factor_removed", "factor_added"]

    async def test_the_last_way_in_stays_until_there_is_another(self, api: Api) -> None:
        """Who came with Google, added a passkey and unlinked Google."""
        person = await api.person()
        await with_passkey(person)
        await api.identity.db.reads.execute("UPDATE users SET password_hash = NULL WHERE id = $1", person.user_id)
        (passkey,) = (await person.request("GET", "/auth/passkeys")).json()["items"]
        path = f"/auth/passkeys/{passkey['id']}"
        refused = await person.request("DELETE", path)
        assert (refused.status_code, refused.json()["code"]) == (409, "last_credential")
        assert len((await person.request("GET", "/auth/passkeys")).json()["items"]) == 1
        new = "seven herons in the harbour"
        assert (await person.request("DELETE", path, {"new_password": new})).status_code == 204
        assert (await api.login(person.email, new)).status_code == 200

    async def test_another_persons_is_not_there(self, api: Api) -> None:
        person, stranger = await api.person(), await api.person()
        await with_passkey(person)
        (passkey,) = (await person.request("GET", "/auth/passkeys")).json()["items"]
        path = f"/auth/passkeys/{passkey['id']}"
        assert (await stranger.request("PATCH", path, {"name": "Mine"})).status_code == 404
        assert (await stranger.request("DELETE", path)).status_code == 404
        assert (await stranger.request("GET", "/auth/passkeys")).json()["items"] == []

    async def test_the_options_ask_for_a_discoverable_one_on_another_authenticator(self, api: Api) -> None:
        person = await api.person()
        first = await with_passkey(person)
        options = (await person.request("POST", "/auth/passkeys/registration-options")).json()
        assert options["rp"] == {"id": "localhost", "name": "Petfolio"}
        assert options["user"]["id"] == encode(person.user_id.bytes)
        assert options["authenticatorSelection"]["residentKey"] == "required"
        assert options["authenticatorSelection"]["userVerification"] == "preferred"
        assert [each["id"] for each in options["excludeCredentials"]] == [encode(first.credential_id)]
        assert len(options["challenge"]) == 43, "32 bytes"

    async def test_its_name_is_stored_sealed(self, api: Api) -> None:
        person = await api.person()
        await with_passkey(person, "Canary's phone")
        async with api.identity.db.sessions() as session:
            row = (await session.scalars(select(Passkey).where(col(Passkey.user_id) == person.user_id))).one()
        assert (row.name_ct or "").startswith(f"v1.user:{person.user_id}:")

    async def test_the_same_one_twice_is_one(self, api: Api) -> None:
        person, other = await api.person(), await api.person()
        authenticator = await with_passkey(person)
        for who in (person, other):
            answer = await register(who, authenticator)
            assert (answer.status_code, answer.json()["code"]) == (409, "passkey_known")

    async def test_ten_are_enough_also_when_the_last_ones_come_at_once(self, api: Api) -> None:
        person = await api.person()
        for _ in range(8):
            await with_passkey(person)
        many = [(await person.request("POST", "/auth/passkeys/registration-options")).json() for _ in range(4)]
        bodies = [{"credential": Authenticator().create(options)} for options in many]
        answers = await asyncio.gather(*[person.request("POST", "/auth/passkeys", body) for body in bodies])
        assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
        full = await person.request("POST", "/auth/passkeys/registration-options")
        assert (full.status_code, full.json()["code"]) == (409, "too_many_passkeys")

    @pytest.mark.parametrize(
        "trait", [{"origin": "http://localhost:8001"}, {"origin": "https://localhost:8000"}, {"rp_id": "evil.test"}]
    )
    async def test_one_made_elsewhere_is_refused(self, api: Api, trait: Json) -> None:
        answer = await register(await api.person(), Authenticator(**trait))
        assert (answer.status_code, answer.json()["code"]) == (422, "passkey_refused")

    async def test_its_options_count_once_and_for_their_own_person(self, api: Api) -> None:
        person, thief = await api.person(), await api.person()
        options = (await person.request("POST", "/auth/passkeys/registration-options")).json()
        body = {"credential": Authenticator().create(options)}
        assert (await thief.request("POST", "/auth/passkeys", body)).status_code == 422
        assert (await person.request("POST", "/auth/passkeys", body)).status_code == 201
        assert (await person.request("POST", "/auth/passkeys", body)).status_code == 422

    async def test_options_for_signing_in_make_none(self, api: Api) -> None:
        person = await api.person()
        options = await sign_in_options(api) | {"user": {"id": encode(person.user_id.bytes)}}
        body = {"credential": Authenticator().create(options)}
        assert (await person.request("POST", "/auth/passkeys", body)).status_code == 422


class TestAsSecondFactor:
    async def test_it_answers_the_challenge(self, api: Api) -> None:
        person = await api.person()
        authenticator = await with_passkey(person, verifies=False)
        answer = await api.login(person.email)
        assert (answer.status_code, answer.json()["methods"]) == (202, ["passkey"])
        challenge = answer.json()["challenge"]
        options = await options_for(api, challenge)
        assert [each["id"] for each in options["allowCredentials"]] == [encode(authenticator.credential_id)]
        opened = await answer_with(api, challenge, passkey=authenticator.get(options))
        assert opened.status_code == 200
        assert claims(opened.json()["access_token"])["amr"] == ["pwd", "hwk", "mfa"]
        (passkey,) = (await person.request("GET", "/auth/passkeys")).json()["items"]
        assert passkey["last_used_at"] is not None

    async def test_an_account_with_both_may_choose(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        authenticator = await with_passkey(person)
        await person.request("POST", "/auth/mfa/recovery-codes")
        answer = await api.login(person.email)
        assert answer.json()["methods"] == ["totp", "passkey", "recovery_code"]
        challenge = answer.json()["challenge"]
        assertion = authenticator.get(await options_for(api, challenge))
        assert (await answer_with(api, challenge, passkey=assertion)).status_code == 200
        assert (await answer_with(api, await challenge_of(api, person.email), code=app.code(1))).status_code == 200

    async def test_without_a_passkey_there_are_no_options(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        answer = await api.post(
            "/auth/mfa/challenge/passkey-options", {"challenge": await challenge_of(api, person.email)}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "no_passkey")

    async def test_one_assertion_sent_many_times_at_once_succeeds_once(self, api: Api) -> None:
        person = await api.person()
        authenticator = await with_passkey(person)
        challenge = await challenge_of(api, person.email)
        assertion = authenticator.get(await options_for(api, challenge))
        answers = await asyncio.gather(*[answer_with(api, challenge, passkey=assertion) for _ in range(4)])
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]

    async def test_an_assertion_for_anything_else_is_refused(self, api: Api) -> None:
        person, thief = await api.person(), await api.person()
        authenticator, thiefs = await with_passkey(person), await with_passkey(thief)
        challenge, other = await challenge_of(api, person.email), await challenge_of(api, person.email)
        thiefs_own = await challenge_of(api, thief.email)
        assertions = {
            "for another challenge of one's own": authenticator.get(await options_for(api, other)),
            "for signing in without a password": authenticator.get(await sign_in_options(api)),
            "by another person's passkey": thiefs.get(await options_for(api, challenge)),
            "for another person's challenge": thiefs.get(await options_for(api, thiefs_own)),
        }
        answers = {why: await answer_with(api, challenge, passkey=each) for why, each in assertions.items()}
        assert {why: answer.status_code for why, answer in answers.items()} == dict.fromkeys(assertions, 401)
        assert len({str(said(answer)) for answer in answers.values()}) == 1


class TestSigningInWithoutAPassword:
    async def test_a_passkey_that_verifies_its_owner_is_both_factors(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        authenticator = await with_passkey(person)
        options = await sign_in_options(api)
        assert (options["userVerification"], options["allowCredentials"]) == ("required", [])
        answer = await sign_in(api, authenticator)
        assert answer.status_code == 200
        token = answer.json()["access_token"]
        assert await person.is_let_in(token)
        assert (claims(token)["amr"], claims(token)["acr"]) == (["hwk", "mfa"], "aal2")
        assert (await person.refresh(answer.json()["refresh_token"])).status_code == 200

    async def test_a_synced_one_says_so(self, api: Api) -> None:
        authenticator = await with_passkey(await api.person(), synced=True, count=None)
        answers = [await sign_in(api, authenticator) for _ in range(2)]
        assert [claims(answer.json()["access_token"])["amr"] for answer in answers] == [["swk", "mfa"]] * 2

    async def test_every_refusal_looks_the_same(self, api: Api) -> None:
        person, blocked, unverified = [await api.person() for _ in range(3)]
        mine, theirs, others = [await with_passkey(who) for who in (person, blocked, unverified)]
        async with api.identity.db.sessions.begin() as session:
            row = update(User).where(col(User.id) == blocked.user_id)
            await session.execute(row.values(state=UserState.BLOCKED))
            await session.execute(update(User).where(col(User.id) == unverified.user_id).values(email_verified_at=None))
        used = mine.get(await sign_in_options(api))
        assert (await api.post("/auth/passkeys/sign-in", {"credential": used})).status_code == 200
        answers = {
            "replayed": await api.post("/auth/passkeys/sign-in", {"credential": used}),
            "another origin": await sign_in(api, replace(mine, origin="http://localhost:9000")),
            "an origin below": await sign_in(api, replace(mine, origin="http://evil.localhost:8000")),
            "another relying party": await sign_in(api, replace(mine, rp_id="evil.test")),
            "the user not verified": await sign_in(api, replace(mine, verifies=False)),
            "another user's handle": await sign_in(api, replace(mine, user_handle=encode(blocked.user_id.bytes))),
            "no user handle": await sign_in(api, replace(mine, user_handle=None)),
            "another key": await sign_in(api, replace(mine, key=theirs.key)),
            "an unknown passkey": await sign_in(api, Authenticator(user_handle=mine.user_handle)),
            "a blocked account": await sign_in(api, theirs),
            "an unverified account": await sign_in(api, others),
        }
        assert {why: answer.status_code for why, answer in answers.items()} == dict.fromkeys(answers, 401)
        assert len({str(said(answer)) for answer in answers.values()}) == 1
        assert (await sign_in(api, mine)).status_code == 200, "and none of that locked anybody out"

    async def test_a_challenge_of_half_a_sign_in_does_not_serve(self, api: Api) -> None:
        person = await api.person()
        authenticator = await with_passkey(person)
        assertion = authenticator.get(await options_for(api, await challenge_of(api, person.email)))
        assert (await api.post("/auth/passkeys/sign-in", {"credential": assertion})).status_code == 401

    async def test_an_assertion_sent_many_times_at_once_succeeds_once(self, api: Api) -> None:
        authenticator = await with_passkey(await api.person())
        body = {"credential": authenticator.get(await sign_in_options(api))}
        answers = await asyncio.gather(*[api.post("/auth/passkeys/sign-in", body) for _ in range(6)])
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5

    async def test_a_removed_one_opens_nothing_even_if_it_races_with_its_removal(self, api: Api) -> None:
        person = await api.person()
        authenticator = await with_passkey(person)
        (passkey,) = (await person.request("GET", "/auth/passkeys")).json()["items"]
        bodies = [{"credential": authenticator.get(await sign_in_options(api))} for _ in range(4)]
        racing = [asyncio.create_task(api.post("/auth/passkeys/sign-in", body)) for body in bodies]
        assert (await person.request("DELETE", f"/auth/passkeys/{passkey['id']}")).status_code == 204
        tokens = [answer.json().get("access_token") for answer in await asyncio.gather(*racing)]
        assert not any([await person.is_let_in(token) for token in tokens if token])
        assert (await sign_in(api, authenticator)).status_code == 401

    async def test_a_counter_that_goes_back_lets_in_and_warns(self, api: Api) -> None:
        person = await api.person()
        authenticator = await with_passkey(person, count=7)
        copy = replace(authenticator)
        assert (await sign_in(api, authenticator)).status_code == 200
        assert (await sign_in(api, authenticator)).status_code == 200
        assert ("auth.passkey_counter", "warned") not in await audit_of(api, person.email)
        assert (await sign_in(api, copy)).status_code == 200
        assert (await audit_of(api, person.email)).count(("auth.passkey_counter", "warned")) == 1
        assert (await kinds(person))[0] == "passkey_copied"

    async def test_apps_come_from_origins_that_are_set_beside_our_own(self, settings: Settings) -> None:
        app = "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS4H1xbkjlxvd2_ETc"
        webauthn = WebAuthnSettings(rp_id="petfolio.example", origins=(app,))
        changed = {"rate_limits": OPEN, "webauthn": webauthn, "public_url": "http://app.petfolio.example:80"}
        async with api_process(settings.model_copy(update=changed)) as elsewhere:
            person = await elsewhere.person()
            phone = await with_passkey(person, origin=app, rp_id="petfolio.example")
            web = replace(phone, origin="http://app.petfolio.example", count=100)
            assert (await sign_in(elsewhere, phone)).status_code == 200
            assert (await sign_in(elsewhere, web)).status_code == 200
            assert (await sign_in(elsewhere, replace(web, origin="http://petfolio.example"))).status_code == 401


GARBAGE = ["", "A", "AAAA", "_" * 16_384, *map(encode, (b"null", b"[]", b"{}", b"\xa1\x01", b"\xff" * 200))]
MEMBERS = ("clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle")


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: garbage[:8])
@pytest.mark.parametrize("member", MEMBERS)
async def test_garbage_of_a_browser_is_refused_and_breaks_nothing(api: Api, member: str, garbage: str) -> None:
    person = await api.person()
    authenticator = Authenticator()
    options = (await person.request("POST", "/auth/passkeys/registration-options")).json()
    made = authenticator.create(options)
    if member in made["response"]:
        made["response"][member] = garbage
        assert (await person.request("POST", "/auth/passkeys", {"credential": made})).status_code == 422
    authenticator = await with_passkey(person)
    assertion = authenticator.get(await sign_in_options(api))
    if member in assertion["response"]:
        assertion["response"][member] = garbage
        assert (await api.post("/auth/passkeys/sign-in", {"credential": assertion})).status_code == 401


@pytest.mark.parametrize("signature", [None, 7, "+/=", "A" * 16_385], ids=["none", "number", "not-base64url", "long"])
async def test_what_is_no_assertion_at_all_is_named(api: Api, signature: object) -> None:
    authenticator = await with_passkey(await api.person())
    assertion = authenticator.get(await sign_in_options(api))
    assertion["response"]["signature"] = signature
    answer = await api.post("/auth/passkeys/sign-in", {"credential": assertion})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/credential/response/signature"


async def test_stepping_up_takes_an_assertion_of_this_session_once(api: Api) -> None:
    person = await api.person()
    authenticator = await with_passkey(person)
    second = Person(api, person.email, (await sign_in(api, authenticator)).json()["access_token"], "")
    account = await users.credentials_by_id(api.identity.db.reads, person.user_id)
    assert account is not None
    scopes = [step_up_of(api.identity.tokens.verify(each.access_token).session_id) for each in (second, person)]
    options = (await person.request("POST", "/auth/passkeys/step-up-options")).json()
    credential = authenticator.get(options)
    proven = [
        await prove_passkey(api.identity, ELSEWHERE, account, credential, scope) for scope in (*scopes, scopes[1])
    ]
    assert proven == [(), ("hwk",), ()]
