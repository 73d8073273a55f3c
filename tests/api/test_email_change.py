"""Moving an account to another address: what both mailboxes, the devices and a stranger see of it."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select, text, update
from sqlmodel import col

from core.db import Database
from core.settings import Settings
from models.session import MailTokenKind, Session
from models.user import User
from tests.api.mailbox import PUBLIC_URL, Mailbox
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, audit_of, said

CONFIRM = "Confirm your new e-mail address"
ASKED = "Your account is to move to another address"
CHANGED = "Your account has another address now"


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


@pytest.fixture(scope="module")
def mailbox(api: Api) -> Mailbox:
    return Mailbox(api)


async def ask(person: Person, email: str) -> httpx.Response:
    return await person.request("POST", "/users/email", {"email": email})


async def confirm(api: Api, token: str) -> httpx.Response:
    return await api.post("/auth/confirm-email", {"token": token})


async def subjects(mailbox: Mailbox, address: str) -> list[str]:
    return [mail.subject for mail in await mailbox.to(address)]


async def moved(api: Api, mailbox: Mailbox, new: str) -> Person:
    """Somebody whose account has just moved to `new`."""
    person = await api.person()
    assert (await ask(person, new)).status_code == 202
    assert (await confirm(api, await mailbox.token(new))).status_code == 204
    return person


async def test_the_account_moves_once_the_new_mailbox_says_so(api: Api, mailbox: Mailbox) -> None:
    person, new = await api.person(), "Moved.There@example.test"
    before = (await api.get("/users/profile", person.access_token)).json()
    assert (await ask(person, new)).status_code == 202
    token = await mailbox.token(new)
    assert f"{PUBLIC_URL}/confirm-email?token={token}" in (await mailbox.to(new))[-1].text
    assert (await api.get("/users/profile", person.access_token)).json() == before, "nothing has moved yet"
    assert (await confirm(api, token)).status_code == 204
    after = (await api.get("/users/profile", person.access_token)).json()
    assert (after["email"], after["version"]) == (new, before["version"] + 1)
    assert (await api.login(person.email)).status_code == 401
    assert (await api.login("moved.there@example.test")).status_code == 200


async def test_the_old_address_is_told_when_it_is_asked_for_and_when_it_is_done(api: Api, mailbox: Mailbox) -> None:
    person, new = await api.person(), "told@example.test"
    await ask(person, new)
    assert (await subjects(mailbox, person.email))[-1] == ASKED
    await confirm(api, await mailbox.token(new))
    assert (await subjects(mailbox, person.email))[-1] == CHANGED
    assert await subjects(mailbox, new) == [CONFIRM], "the new address learns nothing of the old one"
    told = (await mailbox.to(person.email))[-1]
    assert new not in told.text + told.html
    history = await audit_of(api, new)
    assert [entry for entry in history if entry[0].startswith("email.")] == [
        ("email.ask", "ok"),
        ("email.change", "ok"),
    ]


async def test_other_sessions_end_and_the_one_that_asked_must_prove_itself_anew(api: Api, mailbox: Mailbox) -> None:
    person, new = await api.person(), "sessions@example.test"
    other = (await api.login(person.email)).json()
    await ask(person, new)
    assert (await confirm(api, await mailbox.token(new))).status_code == 204
    assert (await person.is_let_in(), await person.is_let_in(other["access_token"])) == (True, False)
    assert (await person.refresh(other["refresh_token"])).status_code == 401
    new_password = {"password": "seven herons in the harbour"}
    for token in (person.access_token, (await person.refresh()).json()["access_token"]):  # also the one of before
        person.access_token = token
        for answer in (
            await ask(person, "another@example.test"),
            await person.request("PUT", "/users/password", new_password),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")


async def test_it_takes_a_login_of_the_last_minutes(api: Api) -> None:
    person = await api.person()
    async with api.identity.db.sessions.begin() as session:
        mine = update(Session).where(col(Session.user_id) == person.user_id)
        await session.execute(mine.values(auth_time=datetime.now(UTC) - timedelta(minutes=6)))
    person.access_token = (await person.refresh()).json()["access_token"]
    answer = await ask(person, "not-fresh@example.test")
    assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")
    assert (await api.post("/users/email", {"email": "not-fresh@example.test"})).status_code == 401


class TestTaken:
    async def test_the_answer_is_the_same_and_the_owner_is_told(self, api: Api, mailbox: Mailbox) -> None:
        person, owner = await api.person(), await api.person()
        taken, free = await ask(person, owner.email.upper()), await ask(person, "quite-free@example.test")
        assert (taken.status_code, said(taken)) == (202, said(free))
        assert (await subjects(mailbox, owner.email))[-1] == "Your address already has a Petfolio account"
        assert CONFIRM not in await subjects(mailbox, owner.email)
        told = (await mailbox.to(owner.email))[-1]
        assert person.email not in told.text

    async def test_it_takes_as_long_as_a_free_one(self, api: Api) -> None:
        person, owner = await api.person(), await api.person()

        async def seconds(email: str) -> float:
            start = time.perf_counter()
            assert (await ask(person, email)).status_code == 202
            return time.perf_counter() - start

        pairs = [(await seconds(owner.email), await seconds(f"free{n}@example.test")) for n in range(5)]
        assert 0.7 < statistics.median(taken / free for taken, free in pairs) < 1.4

    async def test_of_two_who_confirm_the_same_address_at_once_one_gets_it(self, api: Api, mailbox: Mailbox) -> None:
        wanted = "wanted@example.test"
        people = [await api.person() for _ in range(4)]
        tokens = []
        for person in people:
            await ask(person, wanted)
            tokens.append(await mailbox.token(wanted))
        answers = await asyncio.gather(*[confirm(api, token) for token in tokens])
        assert sorted(answer.status_code for answer in answers) == [204, 400, 400, 400]
        assert {answer.json()["code"] for answer in answers if answer.content} == {"invalid_mail_token"}
        addresses = [(await api.get("/users/profile", person.access_token)).json()["email"] for person in people]
        assert addresses.count(wanted) == 1

    async def test_an_address_that_was_registered_meanwhile_stays_with_its_account(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        person, wanted = await api.person(), "registered-meanwhile@example.test"
        await ask(person, wanted)
        token = await mailbox.token(wanted)
        await api.register(wanted)
        assert (await confirm(api, token)).status_code == 400
        assert (await api.get("/users/profile", person.access_token)).json()["email"] == person.email

    async def test_the_address_it_has_is_a_conflict(self, api: Api) -> None:
        person = await api.person()
        answer = await ask(person, person.email.upper())
        assert (answer.status_code, answer.json()["code"]) == (409, "same_email")


class TestLinks:
    async def test_a_link_is_good_once_and_any_other_token_gets_the_same_answer(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        person, new = await moved(api, mailbox, "link-once@example.test"), "link-once@example.test"
        spent = await mailbox.token(new)
        await api.person()
        kinds = (MailTokenKind.VERIFY, MailTokenKind.RESET, MailTokenKind.CHANGE)
        others = [await api.mailed_token(new, kind) for kind in kinds]
        refused = [await confirm(api, token) for token in (spent, *others, spent[:-1], "é", person.access_token[:2000])]
        assert all(said(answer) == said(refused[0]) for answer in refused)
        assert refused[0].status_code == 400

    async def test_a_second_wish_replaces_the_first(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        await ask(person, "first-wish@example.test")
        first = await mailbox.token("first-wish@example.test")
        await ask(person, "second-wish@example.test")
        second = await mailbox.token("second-wish@example.test")
        assert (await confirm(api, first)).status_code == 400
        assert (await confirm(api, second)).status_code == 204
        assert (await api.get("/users/profile", person.access_token)).json()["email"] == "second-wish@example.test"

    async def test_a_mail_that_had_to_wait_does_not_confirm_a_later_wish(self, api: Api, mailbox: Mailbox) -> None:
        """Its link would carry the token of the later address to the former one."""
        person, owner = await api.person(), await api.person()
        await ask(person, "too-late@example.test")
        await ask(person, owner.email)
        assert await subjects(mailbox, "too-late@example.test") == []
        async with api.identity.db.sessions() as session:
            reason = text("SELECT reason FROM deliveries WHERE user_id = :id AND template = 'confirm_email'")
            assert (await session.execute(reason, {"id": person.user_id})).scalars().all() == ["email_change_dropped"]

    @pytest.mark.parametrize("way", ["change", "reset"])
    async def test_whoever_did_not_ask_for_it_cancels_it_with_a_new_password(
        self, api: Api, mailbox: Mailbox, way: str
    ) -> None:
        person, thief = await api.person(), f"thief-{way}@example.test"
        await ask(person, thief)
        token = await mailbox.token(thief)
        new = "seven herons in the harbour"
        if way == "change":
            assert (await person.request("PUT", "/users/password", {"password": new})).status_code == 204
        else:
            link = await api.mailed_token(person.email, MailTokenKind.RESET)
            assert (await api.post("/auth/password/reset", {"token": link, "password": new})).status_code == 204
        assert (await confirm(api, token)).status_code == 400
        assert (await api.login(person.email, new)).status_code == 200

    async def test_signing_out_the_device_that_asked_takes_it_back(self, api: Api, mailbox: Mailbox) -> None:
        for way in ("/auth/sessions", "/auth/logout-all"):
            person, thief = await api.person(), f"thief{way.replace('/', '.')}@example.test"
            own = (await api.login(person.email)).json()["access_token"]
            await ask(person, thief)
            token = await mailbox.token(thief)
            ended = await (api.delete(way, own) if way == "/auth/sessions" else api.post(way, token=own))
            assert ended.status_code == 204
            assert (await confirm(api, token)).status_code == 400
            assert (await api.login(person.email)).status_code == 200

    async def test_links_mailed_to_the_old_address_open_nothing_afterwards(self, api: Api, mailbox: Mailbox) -> None:
        person = await api.person()
        old = await api.mailed_token(person.email, MailTokenKind.RESET)
        await ask(person, "left-behind@example.test")
        await confirm(api, await mailbox.token("left-behind@example.test"))
        body = {"token": old, "password": "seven herons in the harbour"}
        assert (await api.post("/auth/password/reset", body)).status_code == 400

    async def test_opening_the_page_confirms_nothing(self, api: Api, mailbox: Mailbox) -> None:
        person, new = await api.person(), "scanned-by-a-robot@example.test"
        await ask(person, new)
        token = await mailbox.token(new)
        for method in ("GET", "HEAD"):
            assert token not in (await api.http.request(method, f"/confirm-email?token={token}")).text
        assert (await api.login(new)).status_code == 401
        assert (await confirm(api, token)).status_code == 204


async def test_many_accounts_cannot_fill_one_mailbox(settings: Settings, db: Database) -> None:
    limits = OPEN.model_copy(update={"mails": settings.rate_limits.mails})
    async with api_process(settings.model_copy(update={"rate_limits": limits})) as process:
        answers = [await ask(await process.person(), "flooded@example.test") for _ in range(5)]
        assert all(said(answer) == said(answers[0]) for answer in answers)
        mailed = [mail for mail in await Mailbox(process).to("flooded@example.test") if mail.subject == CONFIRM]
        assert len(mailed) == 3


async def test_what_is_stored_is_sealed_for_its_own_row(api: Api, mailbox: Mailbox) -> None:
    await moved(api, mailbox, "canary-moved@example.test")
    async with api.identity.db.sessions() as session:
        for table in ("users", "email_changes", "deliveries", "outbox", "audit_log", "mail_tokens"):
            dump = str((await session.execute(text(f"SELECT t::text FROM {table} t"))).all())
            assert "canary-moved" not in dump, table
        bidx = api.identity.blind_index("canary-moved@example.test")
        user = (await session.scalars(select(User).where(col(User.email_bidx) == bidx))).one()
    assert await api.identity.cipher.open("users.email_ct", user.id, user.email_ct) == "canary-moved@example.test"
    assert (await api.login("canary-moved@example.test", PASSWORD)).status_code == 200
