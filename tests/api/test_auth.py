"""Signing up, in, staying in and out, as a client sees it, on real Postgres and Valkey."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from sqlmodel import col

from core.db import Database
from core.settings import AuthSettings, RateLimit, RateLimits, Settings
from models.audit import AuditEntry
from models.outbox import Outbox
from models.session import LoginThrottle, MailTokenKind, Session
from models.user import User, UserState
from tests.api.signing_in import PASSWORD, Api, api_process, said

PLENTY = RateLimit(quota=100_000, window=1, burst=100_000)
OPEN = RateLimits(
    default=PLENTY,
    anonymous=PLENTY,
    login=PLENTY,
    login_hourly=PLENTY,
    login_account=PLENTY,
    registration=PLENTY,
    mails=PLENTY,
)
"""Limits out of the way of tests that are not about them."""


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


async def in_the_past(api: Api, person_email: str, **ago: timedelta) -> None:
    """Move instants of a person's sessions back: nobody waits for a clock."""
    user = await api.user(person_email)
    assert user is not None
    async with api.identity.db.sessions.begin() as session:
        values = {name: getattr(Session, name) - delta for name, delta in ago.items()}
        await session.execute(update(Session).where(col(Session.user_id) == user.id).values(values))


async def audit_of(api: Api, email: str) -> list[tuple[str, str]]:
    user = await api.user(email)
    assert user is not None
    async with api.identity.db.sessions() as session:
        query = select(AuditEntry).where(col(AuditEntry.subject) == f"user:{user.id}").order_by(col(AuditEntry.id))
        return [(entry.action, entry.outcome) for entry in (await session.scalars(query)).all()]


class TestRegistration:
    async def test_an_account_can_sign_in_only_once_its_address_is_verified(self, api: Api) -> None:
        email = "unverified@example.test"
        assert (await api.register(email)).status_code == 202
        assert (await api.login(email)).status_code == 401
        token = await api.mailed_token(email, MailTokenKind.VERIFY)
        assert (await api.post("/auth/verify-email", {"token": token})).status_code == 204
        assert (await api.login(email)).status_code == 200

    @pytest.mark.parametrize(
        "again", ["Known@Example.TEST", "ｋnown@example.test", "known@EXAMPLE.test"], ids=["case", "width", "domain"]
    )
    async def test_a_known_address_gets_the_same_answer_and_one_mail(self, api: Api, again: str) -> None:
        first = await api.register("known@example.test")
        token = await api.mailed_token("known@example.test", MailTokenKind.VERIFY)
        await api.post("/auth/verify-email", {"token": token})
        before = await api.mails("known@example.test")
        answer = await api.register(again, password="another password than before")
        assert (answer.status_code, answer.content) == (first.status_code, first.content)
        assert await api.mails("known@example.test") == [*before, "already_registered"]
        assert (await api.login("known@example.test")).status_code == 200

    async def test_an_idn_domain_is_one_address_in_both_spellings(self, api: Api) -> None:
        await api.register("ada@bücher.test")
        await api.register("ada@xn--bcher-kva.test")
        async with api.identity.db.sessions() as session:
            bidx = api.identity.blind_index("ada@xn--bcher-kva.test")
            assert len((await session.scalars(select(User).where(col(User.email_bidx) == bidx))).all()) == 1

    async def test_every_registration_writes_exactly_one_outbox_row(self, api: Api) -> None:
        async def rows() -> int:
            async with api.identity.db.sessions() as session:
                return len((await session.scalars(select(Outbox.id))).all())

        start = await rows()
        await api.register("outbox@example.test")
        assert await rows() == start + 1
        await api.register("outbox@example.test")
        assert await rows() == start + 2

    async def test_a_new_address_takes_as_long_as_a_known_one(self, api: Api) -> None:
        async def seconds(email: str) -> float:
            start = time.perf_counter()
            await api.register(email)
            return time.perf_counter() - start

        await api.register("slow@example.test")
        known = [await seconds("slow@example.test") for _ in range(5)]
        new = [await seconds(f"slow{number}@example.test") for number in range(5)]
        assert abs(statistics.median(known) - statistics.median(new)) < 0.02

    async def test_registering_an_unverified_address_again_replaces_its_password(self, api: Api) -> None:
        email = "prehijacked@example.test"
        await api.register(email, password="the password of a stranger")
        await api.register(email, first_name="Ada")
        assert await api.mails(email) == ["verify_email", "verify_email"]
        token = await api.mailed_token(email, MailTokenKind.VERIFY)
        await api.post("/auth/verify-email", {"token": token})
        assert (await api.login(email, "the password of a stranger")).status_code == 401
        assert (await api.login(email)).status_code == 200

    async def test_two_registrations_at_once_make_one_account(self, api: Api) -> None:
        answers = await asyncio.gather(*[api.register("twice@example.test") for _ in range(4)])
        assert {answer.status_code for answer in answers} == {202}
        assert await api.mails("twice@example.test") == ["verify_email"] * 4

    async def test_a_new_person_owns_a_home_in_their_zone(self, api: Api) -> None:
        await api.register("home@example.test", timezone="Europe/Lisbon")
        user = await api.user("home@example.test")
        assert user is not None
        async with api.identity.db.sessions() as session:
            query = text(
                "SELECT h.home_tzid, h.currency, m.role FROM households h JOIN memberships m ON m.household_id = h.id "
                "WHERE m.user_id = :user"
            )
            assert (await session.execute(query, {"user": user.id})).all() == [("Europe/Lisbon", "EUR", "owner")]

    async def test_nothing_personal_is_readable_in_the_tables(self, api: Api) -> None:
        await api.register("canary@example.test", first_name="Kanarie", last_name="Vogel", phone="+49 151 555")
        async with api.identity.db.sessions() as session:
            for table in ("users", "households", "deliveries", "outbox", "audit_log", "user_keys", "login_throttle"):
                dump = str((await session.execute(text(f"SELECT t::text FROM {table} t"))).all())
                for word in ("canary", "Kanarie", "Vogel", "151 555", "10."):
                    assert word not in dump, (table, word)

    @pytest.mark.parametrize(
        ("field", "value", "code"),
        [
            ("password", "fourteen chars", "too_short"),
            ("password", "ﬁ" * 7, "too_short"),
            ("password", "x" * 129, "too_long"),
            ("password", "😀" * 257, "too_long"),
        ],
    )
    async def test_a_password_outside_the_length_rule_is_refused(
        self, api: Api, field: str, value: str, code: str
    ) -> None:
        answer = await api.post("/auth/register", {"email": "rule@example.test", "password": PASSWORD, field: value})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert await api.user("rule@example.test") is None

    @pytest.mark.parametrize("email", ["", "nobody", "a@b@c.test", "a@", "a b@example.test", "a@-.test", 7, None])
    async def test_what_is_no_address_is_refused(self, api: Api, email: object) -> None:
        answer = await api.post("/auth/register", {"email": email, "password": PASSWORD})
        assert answer.status_code == 422

    async def test_an_unknown_zone_is_refused(self, api: Api) -> None:
        answer = await api.register("zone@example.test", timezone="Mars/Olympus")
        assert answer.status_code == 422


class TestVerification:
    async def test_a_token_is_good_once_and_any_other_gets_the_same_answer(self, api: Api) -> None:
        email, other = "token@example.test", "token2@example.test"
        for address in (email, other):
            await api.register(address)
        spent = await api.mailed_token(email, MailTokenKind.VERIFY)
        assert (await api.post("/auth/verify-email", {"token": spent})).status_code == 204
        voided = await api.mailed_token(other, MailTokenKind.VERIFY)
        expired = await api.mailed_token(other, MailTokenKind.VERIFY, minutes=-1)
        wrong_kind = await api.mailed_token(other, MailTokenKind.CANCEL_ERASURE)
        answers = [
            await api.post("/auth/verify-email", {"token": token})
            for token in (spent, voided, expired, wrong_kind, expired[:-1], "é", "x" * 500)
        ]
        assert all(said(answer) == said(answers[0]) for answer in answers)
        assert answers[0].status_code == 400
        assert (await api.login(other)).status_code == 401

    async def test_the_mail_of_another_address_does_not_verify_a_changed_one(self, api: Api) -> None:
        await api.register("before@example.test")
        token = await api.mailed_token("before@example.test", MailTokenKind.VERIFY)
        async with api.identity.db.sessions.begin() as session:
            moved = update(User).where(col(User.email_bidx) == api.identity.blind_index("before@example.test"))
            await session.execute(moved.values(email_bidx=api.identity.blind_index("after@example.test")))
        assert (await api.post("/auth/verify-email", {"token": token})).status_code == 400


class TestLogin:
    async def test_unknown_wrong_unverified_and_blocked_get_the_same_answer(self, api: Api) -> None:
        person = await api.person()
        await api.register("still-unverified@example.test")
        blocked = await api.person()
        async with api.identity.db.sessions.begin() as session:
            mine = update(User).where(col(User.email_bidx) == api.identity.blind_index(blocked.email))
            await session.execute(mine.values(state=UserState.BLOCKED))
        answers = [
            await api.login("nobody@example.test"),
            await api.login(person.email, "not the password at all"),
            await api.login(person.email, "x" * 4000),
            await api.login("still-unverified@example.test"),
            await api.login(blocked.email),
        ]
        assert all(said(answer) == said(answers[0]) for answer in answers)
        assert answers[0].status_code == 401

    async def test_an_unknown_address_takes_as_long_as_a_wrong_password(self, api: Api) -> None:
        async def seconds(email: str) -> float:
            start = time.perf_counter()
            await api.login(email, "not the password at all")
            return time.perf_counter() - start

        people = [await api.person() for _ in range(7)]
        known = [await seconds(person.email) for person in people]
        unknown = [await seconds(f"stranger{number}@example.test") for number in range(7)]
        assert abs(statistics.median(known) - statistics.median(unknown)) < 0.02

    async def test_passwords_equal_in_the_first_72_bytes_are_different_passwords(self, api: Api) -> None:
        email = "seventytwo@example.test"
        await api.register(email, password="a" * 72 + "right ending")
        await api.post("/auth/verify-email", {"token": await api.mailed_token(email, MailTokenKind.VERIFY)})
        assert (await api.login(email, "a" * 72 + "wrong ending")).status_code == 401
        assert (await api.login(email, "a" * 72 + "right ending")).status_code == 200

    async def test_one_password_typed_on_two_keyboards_is_one_password(self, api: Api) -> None:
        email = "nfkc@example.test"
        await api.register(email, password="Pässwort mit Umläuten")
        await api.post("/auth/verify-email", {"token": await api.mailed_token(email, MailTokenKind.VERIFY)})
        decomposed = "Pa\u0308sswort mit Umla\u0308uten"
        assert (await api.login(email, decomposed)).status_code == 200

    async def test_six_failures_then_a_growing_wait_also_for_the_right_password(self, api: Api) -> None:
        person = await api.person()
        wrong = [await api.login(person.email, "not the password at all") for _ in range(6)]
        assert [answer.status_code for answer in wrong] == [401] * 6
        waits = []
        for _ in range(2):
            refused = await api.login(person.email)
            assert refused.status_code == 429
            waits.append(int(refused.headers["retry-after"]))
            async with api.identity.db.sessions.begin() as session:
                await session.execute(update(LoginThrottle).values(next_allowed_at=text("clock_timestamp()")))
            assert (await api.login(person.email, "not the password at all")).status_code == 401
        assert waits[0] == 2
        assert waits[1] == 4
        assert await person.is_let_in(), "a lock on the account ends no session"

    async def test_a_right_password_forgives_what_was_counted(self, api: Api) -> None:
        person = await api.person()
        for _ in range(2):
            for _ in range(4):
                assert (await api.login(person.email, "not the password at all")).status_code == 401
            assert (await api.login(person.email)).status_code == 200

    async def test_an_unknown_address_is_throttled_like_a_known_one(self, api: Api) -> None:
        statuses = [(await api.login("ghost@example.test")).status_code for _ in range(7)]
        assert statuses == [401] * 6 + [429]

    async def test_parallel_guesses_cannot_exceed_the_limit(self, api: Api) -> None:
        person = await api.person()
        answers = await asyncio.gather(*[api.login(person.email, "not the password at all") for _ in range(30)])
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [401] * 6 + [429] * 24

    async def test_a_hash_of_older_parameters_is_made_anew(self, api: Api) -> None:
        from argon2 import PasswordHasher

        person = await api.person()
        older = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
        async with api.identity.db.sessions.begin() as session:
            mine = update(User).where(col(User.email_bidx) == api.identity.blind_index(person.email))
            await session.execute(mine.values(password_hash=older))
        assert (await api.login(person.email)).status_code == 200
        user = await api.user(person.email)
        assert user is not None
        assert user.password_hash is not None
        assert "m=19456,t=2,p=1" in user.password_hash
        assert (await api.login(person.email)).status_code == 200

    async def test_a_full_hashing_queue_answers_503_and_counts_nothing(self, settings: Settings, db: Database) -> None:
        auth = AuthSettings(hash_workers=1, hash_queue=2)
        async with api_process(settings.model_copy(update={"rate_limits": OPEN, "auth": auth})) as small:
            person = await small.person()
            answers = await asyncio.gather(*[small.login(f"{n}@example.test") for n in range(20)])
            refused = [answer for answer in answers if answer.status_code == 503]
            assert {answer.status_code for answer in answers} == {401, 503}
            assert {answer.headers["retry-after"] for answer in refused} == {"1"}
            assert (await small.login(person.email)).status_code == 200

    async def test_logins_of_many_accounts_from_one_address_are_limited(self, settings: Settings, db: Database) -> None:
        async with api_process(settings) as process:
            statuses = [(await process.login(f"spray{n}@example.test")).status_code for n in range(22)]
            assert statuses == [401] * 20 + [429] * 2
            refused = await process.login("spray@example.test")
            assert int(refused.headers["retry-after"]) >= 1


class TestRefresh:
    async def test_the_parent_gets_the_same_bytes_and_later_ends_the_session(self, api: Api) -> None:
        person = await api.person()
        first = await person.refresh()
        again = await person.refresh()
        assert first.status_code == again.status_code == 200
        assert first.content == again.content
        second = first.json()["refresh_token"]
        await in_the_past(api, person.email, rotated_at=timedelta(seconds=11))
        assert (await person.refresh()).status_code == 401
        assert (await person.refresh(second)).status_code == 401
        assert not await person.is_let_in(first.json()["access_token"])
        assert (await api.mails(person.email))[-1] == "session_reuse"
        assert ("auth.refresh", "reused") in await audit_of(api, person.email)

    async def test_a_grandparent_ends_the_session(self, api: Api) -> None:
        person = await api.person()
        second = (await person.refresh()).json()["refresh_token"]
        third = (await person.refresh(second)).json()["refresh_token"]
        assert (await person.refresh()).status_code == 401
        assert (await person.refresh(third)).status_code == 401
        assert not await person.is_let_in()

    async def test_parallel_refreshes_get_one_successor(self, api: Api) -> None:
        person = await api.person()
        answers = await asyncio.gather(*[person.refresh() for _ in range(12)])
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert (await person.refresh(answers[0].json()["refresh_token"])).status_code == 200

    async def test_every_refusal_looks_the_same(self, api: Api) -> None:
        person, idle, old = await api.person(), await api.person(), await api.person()
        await api.post("/auth/logout", token=person.access_token)
        await in_the_past(api, idle.email, idle_expires_at=timedelta(days=31))
        await in_the_past(api, old.email, absolute_expires_at=timedelta(days=91))
        answers = [
            await person.refresh(),
            await idle.refresh(),
            await old.refresh(),
            await person.refresh("unknown"),
            await person.refresh(idle.access_token),
        ]
        assert all(said(answer) == said(answers[0]) for answer in answers)
        assert answers[0].status_code == 401

    async def test_a_blocked_user_cannot_refresh(self, api: Api) -> None:
        person = await api.person()
        async with api.identity.db.sessions.begin() as session:
            mine = update(User).where(col(User.email_bidx) == api.identity.blind_index(person.email))
            await session.execute(mine.values(state=UserState.BLOCKED))
        assert (await person.refresh()).status_code == 401

    async def test_a_session_stops_refreshing_at_its_absolute_end(self, api: Api) -> None:
        person = await api.person()
        await in_the_past(api, person.email, absolute_expires_at=timedelta(days=89, hours=23))
        fresh = await person.refresh()
        assert fresh.status_code == 200
        await in_the_past(api, person.email, absolute_expires_at=timedelta(hours=2))
        assert (await person.refresh(fresh.json()["refresh_token"])).status_code == 401


class TestSessions:
    async def test_a_logout_counts_on_the_next_request(self, api: Api) -> None:
        person = await api.person()
        assert await person.is_let_in()
        assert (await api.post("/auth/logout", token=person.access_token)).status_code == 204
        assert not await person.is_let_in()
        assert (await person.refresh()).status_code == 401

    async def test_one_of_two_devices_can_be_ended_and_only_by_its_owner(self, api: Api) -> None:
        person, stranger = await api.person(), await api.person()
        second = (await api.login(person.email)).json()["access_token"]
        listed = (await api.get("/auth/sessions", person.access_token)).json()["items"]
        assert [entry["current"] for entry in listed] == [False, True]
        other = listed[0]["id"]
        assert (await api.delete(f"/auth/sessions/{other}", stranger.access_token)).status_code == 404
        assert await person.is_let_in(second)
        assert (await api.delete(f"/auth/sessions/{other}", person.access_token)).status_code == 204
        assert not await person.is_let_in(second)
        assert await person.is_let_in()

    async def test_ending_the_others_keeps_this_one(self, api: Api) -> None:
        person = await api.person()
        others = [(await api.login(person.email)).json()["access_token"] for _ in range(2)]
        assert (await api.delete("/auth/sessions", person.access_token)).status_code == 204
        assert [await person.is_let_in(token) for token in [*others, person.access_token]] == [False, False, True]

    async def test_logging_out_everywhere_ends_logins_that_race_with_it(self, api: Api) -> None:
        person = await api.person()
        logins = [asyncio.create_task(api.login(person.email)) for _ in range(3)]
        assert (await api.post("/auth/logout-all", token=person.access_token)).status_code == 204
        tokens = [answer.json()["access_token"] for answer in await asyncio.gather(*logins)]
        async with api.identity.db.sessions() as session:
            epoch = (await session.scalars(select(User.token_epoch).where(User.id == person.user_id))).one()
            rows = (await session.scalars(select(Session).where(Session.user_id == person.user_id))).all()
        counts = {row.id: row.epoch == epoch and row.revoked_at is None for row in rows}
        for token in [*tokens, person.access_token]:
            assert await person.is_let_in(token) == counts[api.identity.tokens.verify(token).session_id]
        assert await person.is_let_in((await api.login(person.email)).json()["access_token"])

    async def test_a_session_opened_with_the_epoch_before_a_logout_everywhere_is_dead_on_arrival(
        self, api: Api
    ) -> None:
        person = await api.person()
        async with api.identity.db.sessions.begin() as session:
            await session.execute(
                update(User).where(User.id == person.user_id).values(token_epoch=User.token_epoch + 1)
            )
        assert not await person.is_let_in()
        assert (await person.refresh()).status_code == 401

    async def test_every_step_of_a_session_is_in_the_audit_log(self, api: Api) -> None:
        person = await api.person()
        await api.login(person.email, "not the password at all")
        await api.post("/auth/logout", token=person.access_token)
        assert await audit_of(api, person.email) == [
            ("auth.register", "new"),
            ("auth.verify_email", "ok"),
            ("auth.login", "ok"),
            ("auth.login", "refused"),
            ("auth.logout", "ok"),
        ]
