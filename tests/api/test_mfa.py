"""Signing in with a second factor: codes from an app and on paper, and what nobody gets around."""

import asyncio
from collections.abc import AsyncIterator

import pyotp
import pytest
from sqlalchemy import select, text, update
from sqlmodel import col

from api.identity import Client
from api.proofs import prove_totp
from api.sign_in import enter
from core.db import Database
from core.settings import Settings
from domain.access import OPERATIONS
from models.mfa import AuthChallenge, RecoveryCode, Totp
from models.queries import users
from models.session import LoginThrottle
from models.user import User, UserState
from tests.api.second_factor import (
    answer_with,
    challenge_of,
    claims,
    early_in_a_step,
    forget_steps,
    has_password_for_one_factor,
    kinds,
    stale,
    with_app,
    with_passkey,
)
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, audit_of, bearer, said
from tests.api.test_openapi import OPERATIONS as DOCUMENTED

ELSEWHERE = Client("192.0.2.7", None, None)


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


async def codes_of(person: Person) -> list[str]:
    answer = await person.request("POST", "/auth/mfa/recovery-codes")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["codes"])


async def nobody_waits(api: Api) -> None:
    """As if the waits after failures were over."""
    async with api.identity.db.sessions.begin() as session:
        await session.execute(update(LoginThrottle).values(next_allowed_at=text("clock_timestamp()")))


class TestTotp:
    async def test_an_app_is_asked_for_from_its_first_code_on(self, api: Api) -> None:
        person = await api.person()
        begun = (await person.request("POST", "/auth/mfa/totp")).json()
        scanned = pyotp.parse_uri(begun["uri"])
        assert (scanned.secret, scanned.name, scanned.issuer) == (begun["secret"], person.email, "Petfolio")
        assert begun["qr_svg"].startswith("<svg")
        assert (await api.login(person.email)).status_code == 200, "not confirmed yet"
        assert isinstance(scanned, pyotp.TOTP)
        confirmed = await person.request("POST", "/auth/mfa/totp/confirm", {"code": scanned.now()})
        assert confirmed.status_code == 204
        answer = await api.login(person.email)
        assert (answer.status_code, answer.json()["methods"], answer.json()["expires_in"]) == (202, ["totp"], 300)
        assert set(answer.json()) == {"challenge", "methods", "expires_in"}
        seen = (await person.request("GET", "/auth/mfa")).json()
        assert seen["totp_confirmed_at"] is not None
        assert (seen["passkeys"], seen["recovery_codes_left"]) == (0, 0)

    async def test_the_right_code_opens_a_session_that_says_how(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        answer = await answer_with(api, await challenge_of(api, person.email), code=app.code(1))
        assert answer.status_code == 200
        token = answer.json()["access_token"]
        assert await person.is_let_in(token)
        assert (claims(token)["amr"], claims(token)["acr"]) == (["pwd", "otp", "mfa"], "aal2")
        assert claims(person.access_token)["acr"] == "aal1"

    async def test_a_code_may_be_typed_with_a_space(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        code = app.code(1)
        answer = await answer_with(api, await challenge_of(api, person.email), code=f"{code[:3]} {code[3:]}")
        assert answer.status_code == 200

    async def test_a_code_of_the_step_before_is_taken_and_those_two_steps_away_are_not(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        await forget_steps(api)
        challenge = await challenge_of(api, person.email)
        await early_in_a_step()
        answers = [await answer_with(api, challenge, code=app.code(steps)) for steps in (-2, 2, -1)]
        assert [answer.status_code for answer in answers] == [401, 401, 200]

    async def test_a_code_counts_once_also_for_another_challenge(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        code = app.code(1)
        assert (await answer_with(api, await challenge_of(api, person.email), code=code)).status_code == 200
        again = await answer_with(api, await challenge_of(api, person.email), code=code)
        wrong = await answer_with(api, await challenge_of(api, person.email), code=app.wrong_code())
        assert said(again) == said(wrong)
        assert (again.status_code, again.json()["code"]) == (401, "second_factor_refused")

    async def test_the_code_an_app_was_confirmed_with_is_used_up(self, api: Api) -> None:
        person = await api.person()
        begun = (await person.request("POST", "/auth/mfa/totp")).json()
        code = pyotp.TOTP(begun["secret"]).now()
        await person.request("POST", "/auth/mfa/totp/confirm", {"code": code})
        assert (await answer_with(api, await challenge_of(api, person.email), code=code)).status_code == 401

    async def test_one_code_sent_at_once_to_many_challenges_of_two_processes_succeeds_once(
        self, api: Api, settings: Settings
    ) -> None:
        person = await api.person()
        app = await with_app(person)
        challenges = [await challenge_of(api, person.email) for _ in range(5)]
        code = app.code(1)
        async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as other:
            sent = [answer_with((api, other)[n % 2], challenge, code=code) for n, challenge in enumerate(challenges)]
            answers = await asyncio.gather(*sent)
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]

    async def test_one_code_sent_twice_at_once_to_one_challenge_succeeds_once(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        challenge, code = await challenge_of(api, person.email), app.code(1)
        answers = await asyncio.gather(*[answer_with(api, challenge, code=code) for _ in range(4)])
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]

    async def test_a_wrong_first_code_confirms_nothing(self, api: Api) -> None:
        person = await api.person()
        await person.request("POST", "/auth/mfa/totp")
        answer = await person.request("POST", "/auth/mfa/totp/confirm", {"code": "000000"})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/code")
        assert (await api.login(person.email)).status_code == 200

    async def test_beginning_anew_replaces_an_app_that_was_not_confirmed_and_no_other(self, api: Api) -> None:
        person = await api.person()
        former = (await person.request("POST", "/auth/mfa/totp")).json()["secret"]
        app = await with_app(person)
        assert app.code() != pyotp.TOTP(former).now()
        again = await person.request("POST", "/auth/mfa/totp")
        assert (again.status_code, again.json()["code"]) == (409, "totp_already_enrolled")
        confirmed = await person.request("POST", "/auth/mfa/totp/confirm", {"code": app.code(1)})
        assert (confirmed.status_code, confirmed.json()["code"]) == (409, "totp_not_begun")

    async def test_the_secret_is_stored_sealed_and_the_codes_as_keyed_hashes(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        code = (await codes_of(person))[0].replace("-", "")
        async with api.identity.db.sessions() as session:
            totp = (await session.scalars(select(Totp).where(col(Totp.user_id) == person.user_id))).one()
            mine = select(RecoveryCode.code_hmac).where(col(RecoveryCode.user_id) == person.user_id)
            macs = (await session.scalars(mine)).all()
        assert totp.secret_ct.startswith(f"v1.user:{person.user_id}:")
        assert len(macs) == 10
        assert api.identity.recovery_mac(person.user_id, code) in macs


class TestChallenge:
    async def test_five_wrong_codes_kill_it_for_the_right_one_too(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        challenge = await challenge_of(api, person.email)
        answers = [await answer_with(api, challenge, code=app.wrong_code()) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert answers[-1].json()["code"] == "challenge_exhausted"
        await nobody_waits(api)
        assert (await answer_with(api, challenge, code=app.code(1))).status_code == 429
        assert (await answer_with(api, await challenge_of(api, person.email), code=app.code(1))).status_code == 200

    async def test_parallel_guesses_cannot_exceed_the_limit(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        challenge, wrong = await challenge_of(api, person.email), app.wrong_code()
        answers = await asyncio.gather(*[answer_with(api, challenge, code=wrong) for _ in range(25)])
        assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 20

    async def test_wrong_codes_make_the_account_wait_and_the_right_password_does_not_undo_that(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        for _ in range(5):
            challenge = await challenge_of(api, person.email)
            assert (await answer_with(api, challenge, code=app.wrong_code())).status_code == 401
        challenge = await challenge_of(api, person.email)
        for _ in range(4):  # the ninth makes the account wait for 16 seconds
            await nobody_waits(api)
            assert (await answer_with(api, challenge, code=app.wrong_code())).status_code == 401
        refused = [await answer_with(api, challenge, code=app.code(1)), await api.login(person.email)]
        assert [answer.status_code for answer in refused] == [429, 429]
        assert all(1 < int(answer.headers["retry-after"]) <= 16 for answer in refused)
        assert await person.is_let_in(), "a lock on the account ends no session"
        await nobody_waits(api)
        again = await challenge_of(api, person.email)
        assert (await answer_with(api, again, code=app.code(1))).status_code == 200
        assert (await api.login(person.email)).status_code == 202, "forgiven once both were proven"

    @pytest.mark.parametrize("state", ["used", "expired", "unknown"])
    async def test_one_that_is_over_is_refused_like_one_that_never_was(self, api: Api, state: str) -> None:
        person = await api.person()
        app = await with_app(person)
        challenge = await challenge_of(api, person.email)
        if state == "used":
            assert (await answer_with(api, challenge, code=app.code(1))).status_code == 200
            await forget_steps(api)
        elif state == "expired":
            async with api.identity.db.sessions.begin() as session:
                await session.execute(update(AuthChallenge).values(expires_at=text("clock_timestamp()")))
        answer = await answer_with(api, "unknown" if state == "unknown" else challenge, code=app.code())
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_challenge")
        options = await api.post("/auth/mfa/challenge/passkey-options", {"challenge": challenge})
        assert state == "unknown" or options.status_code == 401

    async def test_it_is_nobody_else_s(self, api: Api) -> None:
        person, thief = await api.person(), await api.person()
        await with_app(person)
        thiefs_app = await with_app(thief)
        answer = await answer_with(api, await challenge_of(api, person.email), code=thiefs_app.code(1))
        assert answer.status_code == 401

    async def test_it_is_no_token(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        assert not await person.is_let_in(await challenge_of(api, person.email))

    async def test_signing_out_everywhere_meanwhile_ends_it(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        challenge = await challenge_of(api, person.email)
        assert (await api.post("/auth/logout-all", token=person.access_token)).status_code == 204
        assert (await answer_with(api, challenge, code=app.code(1))).json()["code"] == "invalid_challenge"

    async def test_an_account_that_was_blocked_meanwhile_is_not_let_in(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        challenge = await challenge_of(api, person.email)
        async with api.identity.db.sessions.begin() as session:
            await session.execute(update(User).where(col(User.id) == person.user_id).values(state=UserState.BLOCKED))
        assert (await answer_with(api, challenge, code=app.code(1))).status_code == 401

    async def test_a_new_password_does_not_get_around_it(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        hashed = await api.identity.passwords.hash("quite another password")
        async with api.identity.db.sessions.begin() as session:
            await session.execute(update(User).where(col(User.id) == person.user_id).values(password_hash=hashed))
        assert (await api.login(person.email, "quite another password")).status_code == 202

    async def test_whoever_comes_from_elsewhere_is_asked_too(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        account = await users.credentials_by_id(api.identity.db.reads, person.user_id)
        assert account is not None
        assert (await enter(api.identity, ELSEWHERE, account, ("fed",))).status == 202

    async def test_a_wrong_password_shows_nothing_of_the_second_factor(self, api: Api) -> None:
        person, plain = await api.person(), await api.person()
        await with_app(person)
        answers = [await api.login(who.email, "not the password at all") for who in (person, plain)]
        assert said(answers[0]) == said(answers[1])

    @pytest.mark.parametrize(
        "proof",
        [{}, {"code": "123456", "recovery_code": "ABCD-EFGH-IJKL-MNOP"}, {"code": "12345"}, {"code": "١٢٣٤٥٦"}],
    )
    async def test_it_takes_exactly_one_proof_and_counts_no_typing_errors(
        self, api: Api, proof: dict[str, str]
    ) -> None:
        person = await api.person()
        app = await with_app(person)
        challenge = await challenge_of(api, person.email)
        assert [(await answer_with(api, challenge, **proof)).status_code for _ in range(6)] == [422] * 6
        assert (await answer_with(api, challenge, code=app.code(1))).status_code == 200

    async def test_expired_ones_are_swept_up_by_those_who_come_after(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        for _ in range(3):
            await challenge_of(api, person.email)
        async with api.identity.db.sessions.begin() as session:
            await session.execute(update(AuthChallenge).values(expires_at=text("clock_timestamp() - interval '1 s'")))
        await challenge_of(api, person.email)
        async with api.identity.db.sessions() as session:
            mine = select(AuthChallenge).where(col(AuthChallenge.user_id) == person.user_id)
            assert len((await session.scalars(mine)).all()) == 1

    async def test_every_step_is_in_the_audit_log(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        challenge = await challenge_of(api, person.email)
        await answer_with(api, challenge, code=app.wrong_code())
        await answer_with(api, challenge, code=app.code(1))
        assert (await audit_of(api, person.email))[3:] == [
            ("auth.factor_added", "ok"),
            ("auth.login", "challenged"),
            ("auth.factor", "refused"),
            ("auth.factor", "ok"),
            ("auth.login", "ok"),
        ]


class TestRecoveryCodes:
    async def test_each_is_good_for_one_sign_in_however_it_is_typed(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        codes = await codes_of(person)
        assert len(set(codes)) == 10
        challenge = await challenge_of(api, person.email)
        first = await answer_with(api, challenge, recovery_code=codes[0])
        assert (first.status_code, claims(first.json()["access_token"])["amr"]) == (200, ["pwd", "otp", "mfa"])
        again = await answer_with(api, await challenge_of(api, person.email), recovery_code=codes[0])
        assert again.status_code == 401
        typed = codes[1].lower().replace("-", " ")
        assert (await answer_with(api, await challenge_of(api, person.email), recovery_code=typed)).status_code == 200
        assert (await person.request("GET", "/auth/mfa")).json()["recovery_codes_left"] == 8
        assert (await kinds(person)).count("recovery_code_used") == 2

    async def test_new_ones_void_the_old_ones(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        old, new = (await codes_of(person))[0], (await codes_of(person))[0]
        answers = [
            (await answer_with(api, await challenge_of(api, person.email), recovery_code=code)).status_code
            for code in (old, new)
        ]
        assert answers == [401, 200]

    async def test_made_twice_at_once_only_one_batch_counts(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        await asyncio.gather(*[codes_of(person) for _ in range(4)])
        assert (await person.request("GET", "/auth/mfa")).json()["recovery_codes_left"] == 10

    async def test_one_sent_at_once_to_many_challenges_succeeds_once(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        code = (await codes_of(person))[0]
        challenges = [await challenge_of(api, person.email) for _ in range(5)]
        answers = await asyncio.gather(*[answer_with(api, each, recovery_code=code) for each in challenges])
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 4
        assert (await kinds(person)).count("recovery_code_used") == 1

    async def test_another_persons_do_not_help(self, api: Api) -> None:
        person, other = await api.person(), await api.person()
        await with_app(person)
        await with_app(other)
        code = (await codes_of(other))[0]
        assert (await answer_with(api, await challenge_of(api, person.email), recovery_code=code)).status_code == 401

    async def test_there_are_none_without_a_factor_that_they_stand_in_for(self, api: Api) -> None:
        person = await api.person()
        answer = await person.request("POST", "/auth/mfa/recovery-codes")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_second_factor")


class TestChanges:
    async def test_others_are_signed_out_and_the_person_is_told(self, api: Api) -> None:
        person = await api.person()
        other = (await api.login(person.email)).json()["access_token"]
        await with_app(person)
        assert not await person.is_let_in(other)
        assert await person.is_let_in()
        assert (await person.refresh()).status_code == 200, "and this one goes on"
        await codes_of(person)
        assert (await person.request("DELETE", "/auth/mfa/totp")).status_code == 204
        told = ["factor_added", "recovery_codes_made", "factor_removed"]
        assert (await api.mails(person.email))[1:] == [template for template in told for _ in range(2)]
        assert await kinds(person) == told[::-1]

    async def test_whoever_signs_in_while_a_factor_is_added_is_out(self, api: Api) -> None:
        person = await api.person()
        begun = (await person.request("POST", "/auth/mfa/totp")).json()
        logins = [asyncio.create_task(api.login(person.email)) for _ in range(4)]
        confirm = person.request("POST", "/auth/mfa/totp/confirm", {"code": pyotp.TOTP(begun["secret"]).now()})
        assert (await confirm).status_code == 204
        answers = await asyncio.gather(*logins)
        assert {answer.status_code for answer in answers} <= {200, 202, 401}
        tokens = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
        assert [await person.is_let_in(token) for token in tokens] == [False] * len(tokens)
        assert await person.is_let_in()

    async def test_without_the_last_factor_the_password_is_enough_and_codes_are_void(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        await codes_of(person)
        assert (await person.request("DELETE", "/auth/mfa/totp")).status_code == 204
        assert (await api.login(person.email)).status_code == 200
        assert (await person.request("GET", "/auth/mfa")).json()["recovery_codes_left"] == 0
        assert (await person.request("DELETE", "/auth/mfa/totp")).status_code == 404

    async def test_a_password_too_short_to_be_alone_makes_way_for_a_new_one(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        await has_password_for_one_factor(api, person.user_id, ok=False)
        refused = [
            await person.request("DELETE", "/auth/mfa/totp"),
            await person.request("DELETE", "/auth/mfa/totp", {"new_password": "fourteen chars"}),
        ]
        assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [
            (409, "password_too_short_without_mfa"),
            (422, "too_short"),
        ]
        assert {error["pointer"] for error in refused[1].json()["errors"]} == {"/new_password"}
        assert (await api.login(person.email)).status_code == 202, "nothing was removed"
        assert (await api.mails(person.email)).count("factor_removed") == 0
        new = "quite another password"
        assert (await person.request("DELETE", "/auth/mfa/totp", {"new_password": new})).status_code == 204
        assert [(await api.login(person.email, each)).status_code for each in (PASSWORD, new)] == [401, 200]

    @pytest.mark.parametrize("factor", ["app", "app not confirmed", "passkey"])
    async def test_a_password_that_comes_along_is_changed_as_any_other(self, api: Api, factor: str) -> None:
        person, path = await api.person(), "/auth/mfa/totp"
        if factor == "passkey":
            await with_passkey(person)
            path = f"/auth/passkeys/{(await person.request('GET', '/auth/passkeys')).json()['items'][0]['id']}"
        elif factor == "app":
            await with_app(person)
        else:
            assert (await person.request("POST", path)).status_code == 200
        other = (await api.login(person.email)).json().get("access_token")
        new = "quite another password"
        assert (await person.request("DELETE", path, {"new_password": new})).status_code == 204
        assert [(await api.login(person.email, each)).status_code for each in (PASSWORD, new)] == [401, 200]
        assert (await api.mails(person.email)).count("password_changed") == 2, "by mail and in the app"
        assert ("password.change", "ok") in await audit_of(api, person.email)
        assert await person.is_let_in()
        assert other is None or not await person.is_let_in(other)
        known = "SELECT count(*) FROM device_cookies WHERE user_id = $1"
        assert await api.identity.db.reads.fetchval(known, person.user_id) == 1, "the one of the last login"

    async def test_a_short_password_stays_while_a_passkey_does(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        await with_passkey(person)
        await has_password_for_one_factor(api, person.user_id, ok=False)
        assert (await person.request("DELETE", "/auth/mfa/totp")).status_code == 204
        (passkey,) = (await person.request("GET", "/auth/passkeys")).json()["items"]
        answer = await person.request("DELETE", f"/auth/passkeys/{passkey['id']}")
        assert (answer.status_code, answer.json()["code"]) == (409, "password_too_short_without_mfa")

    async def test_two_factors_removed_at_once_do_not_leave_a_short_password_alone(self, api: Api) -> None:
        person = await api.person()
        await with_app(person)
        await with_passkey(person)
        await has_password_for_one_factor(api, person.user_id, ok=False)
        (passkey,) = (await person.request("GET", "/auth/passkeys")).json()["items"]
        paths = ("/auth/mfa/totp", f"/auth/passkeys/{passkey['id']}")
        answers = await asyncio.gather(*[person.request("DELETE", path) for path in paths])
        assert sorted(answer.status_code for answer in answers) == [204, 409]
        assert (await api.login(person.email)).status_code == 202

    @pytest.mark.parametrize(
        "operation",
        [op for op in DOCUMENTED if OPERATIONS[op.body["operationId"]].fresh and "second factors" in op.body["tags"]],
        ids=str,
    )
    async def test_they_take_a_proof_of_the_last_five_minutes(
        self, api: Api, operation: tuple[str, str, object]
    ) -> None:
        person = await api.person()
        path = operation.path.replace("{passkey_id}", str(person.user_id))
        token = bearer(stale(api.identity, person))
        answer = await api.http.request(operation.method, path, json={}, headers=token)
        assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")


async def test_stepping_up_asks_the_same_function_and_takes_each_code_once(api: Api) -> None:
    person = await api.person()
    app = await with_app(person)
    account = await users.credentials_by_id(api.identity.db.reads, person.user_id)
    assert account is not None
    proven = [
        await prove_totp(api.identity, ELSEWHERE, account, code) for code in (app.wrong_code(), *[app.code(1)] * 2)
    ]
    assert proven == [(), ("otp",), ()]
