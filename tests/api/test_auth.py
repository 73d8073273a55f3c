"""Signing in, staying in and signing out, as a client sees it, on real Postgres and Valkey."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, text, update
from sqlmodel import col

from core.db import Database
from core.settings import AuthSettings, Settings
from models.session import LoginThrottle, MailTokenKind, Session
from models.user import User, UserState
from tests.api.signing_in import OPEN, PASSWORD, Api, api_process, audit_of, said


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

        people = [await api.person() for _ in range(9)]
        pairs = [(await seconds(who.email), await seconds(f"stranger{n}@example.test")) for n, who in enumerate(people)]
        # Without the hash for nobody it would be a third of the time.
        assert 0.6 < statistics.median(known / unknown for known, unknown in pairs) < 1.6

    async def test_passwords_equal_in_the_first_72_bytes_are_different_passwords(self, api: Api) -> None:
        email = "seventytwo@example.test"
        same = "seven herons wade through the harbour while nobody at all looks at them."
        assert len(same) == 72
        await api.register(email, password=same + "right ending")
        await api.post("/auth/verify-email", {"token": await api.mailed_token(email, MailTokenKind.VERIFY)})
        assert (await api.login(email, same + "wrong ending")).status_code == 401
        assert (await api.login(email, same + "right ending")).status_code == 200

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
        assert 0 < waits[0] <= 2 < waits[1] <= 4
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
            emails = [f"queue{n}@example.test" for n in range(20)]
            answers = await asyncio.gather(*[small.login(email) for email in emails])
            refused = [answer for answer in answers if answer.status_code == 503]
            assert {answer.status_code for answer in answers} == {401, 503}
            keys = [small.identity.throttle_key(small.identity.blind_index(email)) for email in emails]
            async with small.identity.db.sessions() as session:
                counted = (await session.scalars(select(LoginThrottle).where(col(LoginThrottle.key).in_(keys)))).all()
            assert [row.fails for row in counted] == [1] * (20 - len(refused))
            assert {answer.headers["retry-after"] for answer in refused} == {"1"}
            assert (await small.login(person.email)).status_code == 200

    async def test_logins_of_many_accounts_from_one_address_are_limited(self, settings: Settings, db: Database) -> None:
        async with api_process(settings) as process:
            answers = await asyncio.gather(*[process.login(f"spray{n}@example.test") for n in range(200)])
            assert sorted(answer.status_code for answer in answers) == [401] * 20 + [429] * 180
            refused = next(answer for answer in answers if answer.status_code == 429)
            assert 1 <= int(refused.headers["retry-after"]) <= 3
            assert refused.headers["ratelimit-policy"] == '"login";q=20;w=60'


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
        answers = await asyncio.gather(*logins)
        tokens = [answer.json()["access_token"] for answer in answers if answer.status_code != 401]
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
