"""New passwords: by mail for whoever forgot theirs, and by whoever is signed in."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, select, text, update
from sqlmodel import col

from api.passwords import Passwords
from core.db import Database
from core.settings import Settings
from models.audit import AuditEntry
from models.notification import Delivery
from models.queries import mails, users
from models.session import DeviceCookie, MailToken, MailTokenKind, Session
from models.user import User, UserState
from tests.api.mailbox import PUBLIC_URL, Mailbox
from tests.api.second_factor import with_app
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, audit_of, bearer, said, until_waiting

NEW = "seven herons in the harbour"
OTHER = "a kettle sings under the stairs"


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


@pytest.fixture(scope="module")
def mailbox(api: Api) -> Mailbox:
    return Mailbox(api)


async def forgot(api: Api, email: str, **headers: str) -> httpx.Response:
    return await api.http.post("/api/v1/auth/password/forgot", json={"email": email}, headers=headers)


async def reset(api: Api, token: str, password: str = NEW) -> httpx.Response:
    return await api.post("/auth/password/reset", {"token": token, "password": password})


async def signs_in(api: Api, email: str, password: str) -> bool:
    answer = await api.login(email, password)
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


class TestForgotten:
    async def test_the_mailed_link_sets_a_new_password_and_ends_every_session(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        second = (await api.login(person.email)).json()["access_token"]
        assert (await forgot(api, person.email)).status_code == 202
        answer = await reset(api, await mailbox.token(person.email))
        assert (answer.status_code, answer.content) == (204, b""), "nobody is signed in by it"
        assert [await person.is_let_in(token) for token in (person.access_token, second)] == [False, False]
        assert (await person.refresh()).status_code == 401
        assert [await signs_in(api, person.email, password) for password in (PASSWORD, NEW)] == [False, True]
        assert (await mailbox.to(person.email))[-1].subject == "Your password was changed"
        assert {("password.forgot", "sent"), ("password.reset", "ok")} <= set(await audit_of(api, person.email))

    async def test_its_owner_is_told_in_the_app_as_well(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        await forgot(api, person.email)
        await reset(api, await mailbox.token(person.email))
        fresh = (await api.login(person.email, NEW)).json()["access_token"]
        lines = (await api.get("/notifications", fresh)).json()["items"]
        assert [(line["kind"], line["category"]) for line in lines] == [("password_changed", "security")]

    async def test_known_unknown_unverified_and_blocked_get_one_answer_and_only_owners_get_mail(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        person, blocked = await api.person(), await api.person()
        async with api.identity.db.sessions.begin() as session:
            mine = update(User).where(col(User.id) == blocked.user_id)
            await session.execute(mine.values(state=UserState.BLOCKED))
        await api.register("not-verified@example.test")
        asked = [person.email, blocked.email, "not-verified@example.test", "nobody-at-all@example.test"]
        answers = [await forgot(api, email) for email in asked]
        assert all(said(answer) == said(answers[0]) for answer in answers)
        subject = "Choose a new password"
        mailed = [email for email in asked if subject in [mail.subject for mail in await mailbox.to(email)]]
        assert mailed == [person.email, "not-verified@example.test"]

    async def test_an_unverified_address_is_confirmed_by_the_link_that_was_mailed_there(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        email = "squatted@example.test"
        await api.register(email, password="the password of a stranger")
        await forgot(api, email)
        assert (await reset(api, await mailbox.token(email))).status_code == 204
        assert [await signs_in(api, email, password) for password in ("the password of a stranger", NEW)] == [
            False,
            True,
        ]

    async def test_a_link_is_good_once_for_half_an_hour_until_a_newer_one_and_for_nothing_else(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        person = await api.person()
        await forgot(api, person.email)
        replaced = await mailbox.token(person.email)
        await forgot(api, person.email)
        token = await mailbox.token(person.email)
        async with api.identity.db.sessions() as session:
            spans = (await session.scalars(select(col(MailToken.expires_at) - col(MailToken.created_at)))).all()
        assert timedelta(minutes=30) in spans
        verify = await api.mailed_token(person.email, MailTokenKind.VERIFY)
        refused = [await reset(api, other) for other in (replaced, verify, token[:-1], "é", "x" * 500)]
        assert {answer.status_code for answer in refused} == {400}
        assert (await reset(api, token)).status_code == 204
        refused.append(await reset(api, token, OTHER))
        expired = await api.mailed_token(person.email, MailTokenKind.RESET, minutes=-1)
        refused.append(await reset(api, expired, OTHER))
        assert all(said(answer) == said(refused[0]) for answer in refused)
        assert refused[0].json()["code"] == "invalid_mail_token"
        assert await signs_in(api, person.email, NEW)

    async def test_a_reset_link_verifies_confirms_and_opens_nothing(self, api: Api) -> None:
        person = await api.person()
        token = await api.mailed_token(person.email, MailTokenKind.RESET)
        for path in ("/auth/verify-email", "/auth/confirm-email", "/users/erasure/cancel"):
            assert (await api.post(path, {"token": token})).status_code == 400
        assert not await person.is_let_in(token)

    async def test_a_refused_password_leaves_the_link_good(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        await forgot(api, person.email)
        token = await mailbox.token(person.email)
        answer = await reset(api, token, "petfolio petfolio")
        assert (answer.status_code, answer.json()["code"]) == (422, "contextual")
        assert await person.is_let_in()
        assert (await reset(api, token)).status_code == 204

    async def test_sent_twice_at_once_one_of_two_passwords_counts(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        await forgot(api, person.email)
        token = await mailbox.token(person.email)
        words = [f"seven herons in harbour {letter}" for letter in "abcdef"]
        answers = await asyncio.gather(*[reset(api, token, password) for password in words])
        assert sorted(answer.status_code for answer in answers) == [204] + [400] * 5
        winner = words[[answer.status_code for answer in answers].index(204)]
        assert [await signs_in(api, person.email, password) for password in words if password != winner][:3] == [
            False
        ] * 3
        assert await signs_in(api, person.email, winner)

    async def test_two_links_of_one_mail_at_once_do_not_wait_for_each_other_crosswise(self, api: Api) -> None:
        person = await api.person()
        user = await api.user(person.email)
        assert user is not None
        async with api.identity.db.sessions.begin() as session:
            sent = {"lifetime": timedelta(minutes=30), "asked_at": datetime.now(UTC) - timedelta(minutes=1)}
            links = [await mails.mint_token(session, user, MailTokenKind.RESET, **sent) for _ in range(2)]
        async with api.identity.db.sessions.begin() as session:
            await users.lock(session, person.user_id)
            resets = [asyncio.create_task(reset(api, link)) for link in links]
            await until_waiting(api, 2)
        assert sorted(answer.status_code for answer in await asyncio.gather(*resets)) == [204, 400]

    async def test_three_mails_an_hour_to_one_account_and_the_fourth_looks_the_same(
        self, settings: Settings, db: Database
    ) -> None:
        limits = OPEN.model_copy(update={"reset_mails": settings.rate_limits.reset_mails})
        async with api_process(settings.model_copy(update={"rate_limits": limits})) as process:
            person = await process.person()
            answers = [await forgot(process, person.email) for _ in range(5)]
            assert all(said(answer) == said(answers[0]) for answer in answers)
            assert (await process.mails(person.email)).count("password_reset") == 3

    async def test_ten_mails_an_hour_from_one_network_and_the_eleventh_looks_the_same(
        self, settings: Settings, db: Database
    ) -> None:
        limits = OPEN.model_copy(update={"reset_network": settings.rate_limits.reset_network})
        async with api_process(settings.model_copy(update={"rate_limits": limits})) as process:
            people = [await process.person() for _ in range(12)]
            answers = [await forgot(process, person.email) for person in people]
            assert all(said(answer) == said(answers[0]) for answer in answers)
            sent = [(await process.mails(person.email)).count("password_reset") for person in people]
            assert sent == [1] * 10 + [0] * 2

    async def test_the_link_leads_where_the_platform_lives_whatever_the_request_says(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        person = await api.person()
        evil = {
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "http",
            "Forwarded": "host=evil.example",
            "Origin": "https://evil.example",
            "Referer": "https://evil.example/",
        }
        assert (await forgot(api, person.email, **evil)).status_code == 202
        mail = (await mailbox.to(person.email))[-1]
        assert "evil" not in mail.text + mail.html
        links = set(re.findall(r"https?://[^\s\"<]+", mail.text + mail.html))
        assert all(link.startswith(PUBLIC_URL) for link in links)
        assert any(link.startswith(f"{PUBLIC_URL}/reset-password?token=") for link in links)

    async def test_second_factors_stay(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        async with api.identity.db.sessions.begin() as session:
            statement = "INSERT INTO mfa_totp (user_id, secret_ct, confirmed_at) VALUES (:id, 'sealed', now())"
            await session.execute(text(statement), {"id": person.user_id})
        await forgot(api, person.email)
        await reset(api, await mailbox.token(person.email))
        async with api.identity.db.sessions() as session:
            confirmed = text("SELECT count(*) FROM mfa_totp WHERE user_id = :id AND confirmed_at IS NOT NULL")
            assert (await session.execute(confirmed, {"id": person.user_id})).scalar_one() == 1

    async def test_a_login_that_races_with_a_reset_is_out(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        await forgot(api, person.email)
        token = await mailbox.token(person.email)
        racing = [asyncio.create_task(api.login(person.email)) for _ in range(4)]
        assert (await reset(api, token)).status_code == 204
        answers = await asyncio.gather(*racing)
        tokens = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
        assert [await person.is_let_in(token) for token in tokens] == [False] * len(tokens)

    async def test_an_account_that_was_blocked_meanwhile_gets_no_new_password(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        await forgot(api, person.email)
        token = await mailbox.token(person.email)
        await person.request("DELETE", "/users/account")
        assert (await reset(api, token)).status_code == 400


class TestChange:
    async def test_it_ends_the_other_sessions_and_tells_the_owner(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        other = (await api.login(person.email)).json()["access_token"]
        assert (await change(person, NEW, PASSWORD)).status_code == 204
        assert (await person.is_let_in(), await person.is_let_in(other)) == (True, False)
        assert (await person.refresh()).status_code == 200
        assert [await signs_in(api, person.email, password) for password in (PASSWORD, NEW)] == [False, True]
        assert (await mailbox.to(person.email))[-1].subject == "Your password was changed"
        assert ("password.change", "ok") in await audit_of(api, person.email)

    async def test_an_older_login_needs_the_present_password(self, api: Api) -> None:
        person = await api.person()
        async with api.identity.db.sessions.begin() as session:
            mine = update(Session).where(col(Session.user_id) == person.user_id)
            await session.execute(mine.values(auth_time=datetime.now(UTC) - timedelta(minutes=6)))
        person.access_token = (await person.refresh()).json()["access_token"]
        refused = [await change(person, NEW), await change(person, NEW, "not the password at all")]
        assert [answer.status_code for answer in refused] == [403, 403]
        assert [answer.json()["code"] for answer in refused] == ["step_up_required", "password_wrong"]
        assert (await change(person, NEW, PASSWORD)).status_code == 204
        assert await signs_in(api, person.email, NEW)

    async def test_whoever_has_a_session_cannot_guess_the_password_with_it(self, api: Api) -> None:
        person = await api.person()
        statuses = [(await change(person, NEW, "not the password at all")).status_code for _ in range(7)]
        assert statuses == [403] * 6 + [429]
        assert await person.is_let_in()

    async def test_a_login_with_the_old_password_that_races_with_the_change_is_out(self, api: Api) -> None:
        person = await api.person()
        logins = [asyncio.create_task(api.login(person.email)) for _ in range(4)]
        assert (await change(person, NEW)).status_code == 204
        answers = await asyncio.gather(*logins)
        tokens = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
        assert [await person.is_let_in(token) for token in tokens] == [False] * len(tokens)
        assert await person.is_let_in()

    async def test_a_rehash_that_was_begun_before_does_not_bring_the_old_password_back(self, api: Api) -> None:
        person = await api.person()
        before = await api.user(person.email)
        assert before is not None
        assert before.password_hash is not None
        assert (await change(person, NEW)).status_code == 204
        async with api.identity.db.sessions.begin() as session:
            await users.rehash_password(session, person.user_id, outdated=before.password_hash, fresh="old again")
        assert await signs_in(api, person.email, NEW)

    async def test_links_and_devices_of_before_are_void(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        await forgot(api, person.email)
        token = await mailbox.token(person.email)
        assert (await change(person, NEW)).status_code == 204
        assert (await reset(api, token, OTHER)).status_code == 400
        async with api.identity.db.sessions() as session:
            mine = select(func.count()).select_from(DeviceCookie).where(col(DeviceCookie.user_id) == person.user_id)
            assert (await session.execute(mine)).scalar_one() == 0

    @pytest.mark.parametrize("way", ["change", "reset"])
    async def test_a_short_one_is_refused_where_the_second_factor_went_meanwhile(
        self, api: Api, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        person, short = await api.person(), "kX9#vQ2pLm7z"
        await with_app(person)
        token = await api.mailed_token(person.email, MailTokenKind.RESET)
        hashing = Passwords.hash

        async def slow(self: Passwords, password: str) -> str:
            if password == short:
                assert (await person.request("DELETE", "/auth/mfa/totp")).status_code == 204
            return await hashing(self, password)

        monkeypatch.setattr(Passwords, "hash", slow)
        answer = await (change(person, short) if way == "change" else reset(api, token, short))
        assert (answer.status_code, answer.json()["code"]) == (422, "too_short")
        assert [await signs_in(api, person.email, password) for password in (short, PASSWORD)] == [False, True]
        if way == "reset":
            assert (await reset(api, token)).status_code == 204, "the link stays good"

    async def test_ten_an_hour_are_enough(self, settings: Settings, db: Database) -> None:
        limits = OPEN.model_copy(update={"credentials": settings.rate_limits.credentials})
        async with api_process(settings.model_copy(update={"rate_limits": limits})) as process:
            person = await process.person()
            statuses = [(await change(person, "short")).status_code for _ in range(11)]
            assert statuses == [422] * 10 + [429]

    async def test_nothing_that_was_typed_is_in_the_log_or_the_ledger(self, api: Api) -> None:
        person = await api.person()
        await change(person, NEW, PASSWORD)
        async with api.identity.db.sessions() as session:
            for table in (AuditEntry, Delivery):
                rows = (await session.execute(text(f"SELECT t::text FROM {table.__tablename__} t"))).all()
                assert NEW not in str(rows)
                assert person.email not in str(rows)


async def change(person: Person, password: str, current: str | None = None) -> httpx.Response:
    body = {"password": password} | ({"current_password": current} if current else {})
    return await person.api.http.put("/api/v1/users/password", json=body, headers=bearer(person.access_token))
