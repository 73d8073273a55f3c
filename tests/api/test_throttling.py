"""Guessing passwords: how long one waits, who does not have to, and what an attacker can tell from the answers."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from http.cookies import SimpleCookie

import asyncpg
import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlalchemy import Engine, event, select, text, update
from sqlmodel import col

from core.db import Database
from core.settings import Settings
from models.session import DeviceCookie, LoginThrottle, MailTokenKind
from models.user import User, UserState
from tests.api.second_factor import answer_with, challenge_of, forget_steps, with_app
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, said

WRONG = "not the password at all"
NAME = "__Host-device"


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


async def login(api: Api, email: str, password: str = PASSWORD, device: str | None = None) -> httpx.Response:
    headers = {"Cookie": f"{NAME}={device}"} if device else {}
    return await api.http.post("/api/v1/auth/login", json={"email": email, "password": password}, headers=headers)


def device_of(answer: httpx.Response) -> str:
    """The device cookie of an answer."""
    cookie = SimpleCookie(answer.headers["set-cookie"])
    return cookie[NAME].value


async def known_device(api: Api, person: Person) -> str:
    return device_of(await login(api, person.email))


async def failures(api: Api, email: str, count: int = 6, device: str | None = None) -> list[int]:
    return [(await login(api, email, WRONG, device)).status_code for _ in range(count)]


async def counted(api: Api, email: str) -> int:
    """The failures in a row that are held against the account."""
    key = api.identity.throttle_key(api.identity.blind_index(email))
    async with api.identity.db.sessions() as session:
        query = select(col(LoginThrottle.consecutive)).where(col(LoginThrottle.key) == key)
        return (await session.scalars(query)).one()


async def counted_on(api: Api, device: str) -> int:
    """The failures that are held against a known device."""
    async with api.identity.db.sessions() as session:
        query = select(col(DeviceCookie.fails)).where(
            col(DeviceCookie.id_hash) == api.identity.device_cookies.read(device)
        )
        return (await session.scalars(query)).one()


async def set_throttle(api: Api, email: str, **values: object) -> None:
    key = api.identity.throttle_key(api.identity.blind_index(email))
    async with api.identity.db.sessions.begin() as session:
        await session.execute(update(LoginThrottle).where(col(LoginThrottle.key) == key).values(**values))


class TestKnownDevices:
    async def test_the_right_password_waits_on_a_new_device_and_not_on_a_known_one(self, api: Api) -> None:
        person = await api.person()
        device = await known_device(api, person)
        assert await failures(api, person.email) == [401] * 6
        assert (await login(api, person.email)).status_code == 429
        answer = await login(api, person.email, device=device)
        assert answer.status_code == 200
        assert (await login(api, person.email)).status_code == 200, "its login forgives what strangers tried"

    async def test_the_cookie_is_for_this_host_alone_and_out_of_reach(self, api: Api) -> None:
        person = await api.person()
        cookie = SimpleCookie((await login(api, person.email)).headers["set-cookie"])[NAME]
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (
            True,
            True,
            "Strict",
            "/",
            "",
        )
        assert int(cookie["max-age"]) == 90 * 86400

    async def test_a_refused_login_sets_none(self, api: Api) -> None:
        assert "set-cookie" not in (await login(api, (await api.person()).email, WRONG)).headers

    async def test_made_up_foreign_expired_and_copied_cookies_wait_like_anybody(self, api: Api) -> None:
        person, stranger = await api.person(), await api.person()
        copied = await known_device(api, person)
        newer = device_of(await login(api, person.email, device=copied))
        expired = await known_device(api, person)
        async with api.identity.db.sessions.begin() as session:
            device = api.identity.device_cookies.read(expired)
            mine = update(DeviceCookie).where(col(DeviceCookie.id_hash) == device)
            await session.execute(mine.values(expires_at=text("clock_timestamp()")))
        name, _, signature = newer.partition(".")
        useless = [
            copied,
            expired,
            await known_device(api, stranger),
            f"{name}.{signature[:-1]}",
            f"{name}x.{signature}",
            name,
            "",
            ".",
            "é" * 50,
            "x" * 4000,
        ]
        await failures(api, person.email)
        for device in useless:
            answer = await login(api, person.email, device=device.encode("ascii", "ignore").decode())
            assert answer.status_code == 429, device
        assert (await login(api, person.email, device=newer)).status_code == 200

    async def test_after_ten_failures_it_is_a_device_like_any_other(self, api: Api) -> None:
        person = await api.person()
        device = await known_device(api, person)
        assert await failures(api, person.email, 11, device) == [401] * 10 + [429]
        assert (await login(api, person.email, device=device)).status_code == 429

    async def test_parallel_guesses_from_a_known_device_are_ten_as_well(self, api: Api) -> None:
        person = await api.person()
        device = await known_device(api, person)
        answers = await asyncio.gather(*[login(api, person.email, WRONG, device) for _ in range(30)])
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(401), statuses.count(429)) == (10, 20)

    async def test_a_login_gives_the_device_its_ten_again(self, api: Api) -> None:
        person = await api.person()
        device = await known_device(api, person)
        for _ in range(2):
            assert await failures(api, person.email, 9, device) == [401] * 9
            device = device_of(await login(api, person.email, device=device))

    async def test_twenty_are_remembered_the_oldest_makes_room(self, api: Api) -> None:
        person = await api.person()
        first = await known_device(api, person)
        for _ in range(20):
            newest = await known_device(api, person)
        async with api.identity.db.sessions() as session:
            mine = select(col(DeviceCookie.id_hash)).where(col(DeviceCookie.user_id) == person.user_id)
            kept = set((await session.scalars(mine)).all())
        read = api.identity.device_cookies.read
        assert (len(kept), read(first) in kept, read(newest) in kept) == (20, False, True)

    async def test_many_logins_at_once_do_not_get_in_each_others_way(self, api: Api) -> None:
        person = await api.person()
        device = await known_device(api, person)
        answers = await asyncio.gather(*[login(api, person.email, device=device) for _ in range(20)])
        # Each counts as failed until it is through, so some may have to come again.
        assert {answer.status_code for answer in answers} <= {200, 429}
        assert 200 in {answer.status_code for answer in answers}

    async def test_stepping_up_on_a_known_device_does_not_wait_for_strangers(self, api: Api) -> None:
        person = await api.person()
        device = await known_device(api, person)
        await failures(api, person.email)
        body = {"password": "seven herons in the harbour", "current_password": PASSWORD}
        assert (await person.request("PUT", "/users/password", body)).status_code == 429
        headers = {"Cookie": f"{NAME}={device}"}
        assert (await person.request("PUT", "/users/password", body, headers)).status_code == 204

    async def test_right_proofs_do_not_use_up_a_known_device(self, api: Api) -> None:
        person = await api.person()
        device = await known_device(api, person)
        await failures(api, person.email, 3, device)
        for _ in range(10):
            proof = {"password": PASSWORD}
            answer = await person.request("POST", "/auth/step-up", proof, {"Cookie": f"{NAME}={device}"})
            assert answer.status_code == 200
            assert await counted_on(api, device) == 0
        await failures(api, person.email)
        assert (await login(api, person.email)).status_code == 429
        assert (await login(api, person.email, device=device)).status_code == 200


class TestSecondFactors:
    async def test_on_a_known_device_the_right_password_gives_back_no_more_than_it_cost(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        device = device_of(await answer_with(api, await challenge_of(api, person.email), code=app.code(1)))
        await forget_steps(api)
        headers = {"Cookie": f"{NAME}={device}"}

        async def code_after_password(code: str) -> int:
            body = {"challenge": (await login(api, person.email, device=device)).json()["challenge"], "code": code}
            return (await api.http.post("/api/v1/auth/mfa/challenge", json=body, headers=headers)).status_code

        for guesses in range(1, 9):
            assert await code_after_password(app.wrong_code()) == 401
            assert await counted_on(api, device) == guesses
        proven = {"code": app.code()}
        assert (await person.request("POST", "/auth/step-up", proven, headers)).status_code == 200
        assert await counted_on(api, device) == 0

    async def test_the_right_password_makes_no_void_device_a_known_one(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        device = device_of(await answer_with(api, await challenge_of(api, person.email), code=app.code(1)))
        await failures(api, person.email, 10, device)
        await set_throttle(api, person.email, next_allowed_at=text("clock_timestamp()"))
        assert (await login(api, person.email, device=device)).status_code == 202
        assert await counted_on(api, device) == 10

    async def test_a_known_device_does_not_wait_with_its_code_either(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        device = device_of(await answer_with(api, await challenge_of(api, person.email), code=app.code(1)))
        await forget_steps(api)
        await failures(api, person.email)
        assert (await login(api, person.email)).status_code == 429
        right = await login(api, person.email, device=device)
        assert (right.status_code, "set-cookie" in right.headers) == (202, False)
        await failures(api, person.email, 1)
        body = {"challenge": right.json()["challenge"], "code": app.code()}
        headers = {"Cookie": f"{NAME}={device}"}
        assert (await api.http.post("/api/v1/auth/mfa/challenge", json=body, headers=headers)).status_code == 200

    async def test_the_right_password_neither_counts_nor_wipes_out_what_codes_cost(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        for _ in range(7):
            challenge = await challenge_of(api, person.email)
        assert await counted(api, person.email) == 0
        await answer_with(api, challenge, code=app.wrong_code())
        await challenge_of(api, person.email)
        assert await counted(api, person.email) == 1
        proof = {"password": PASSWORD}
        assert (await person.request("POST", "/auth/step-up", proof)).status_code == 200
        assert await counted(api, person.email) == 1
        assert (await answer_with(api, challenge, code=app.code(1))).status_code == 200
        assert await counted(api, person.email) == 0

    async def test_whoever_proves_themselves_again_by_password_alone_is_forgiven(self, api: Api) -> None:
        person = await api.person()
        await failures(api, person.email, 3)
        assert (await person.request("POST", "/auth/step-up", {"password": PASSWORD})).status_code == 200
        assert await counted(api, person.email) == 0


class TestHardCap:
    async def test_after_a_hundred_failures_in_a_row_only_a_new_password_opens(self, api: Api) -> None:
        person = await api.person()
        device = await known_device(api, person)
        await failures(api, person.email, 1)
        await set_throttle(api, person.email, consecutive=99)
        assert await failures(api, person.email, 1) == [401]
        a_week_ago = text("clock_timestamp() - interval '7 days'")
        await set_throttle(api, person.email, last_fail_at=a_week_ago, next_allowed_at=a_week_ago)
        for answer in (await login(api, person.email), await login(api, person.email, device=device)):
            assert (answer.status_code, answer.json()["code"]) == (429, "password_locked")
            assert "retry-after" not in answer.headers, "no time is enough"
        assert await person.is_let_in(), "whoever is in stays in"
        token = await api.mailed_token(person.email, MailTokenKind.RESET)
        new = "seven herons in the harbour"
        assert (await api.post("/auth/password/reset", {"token": token, "password": new})).status_code == 204
        assert (await login(api, person.email, new)).status_code == 200

    async def test_codes_are_guessed_no_longer_than_passwords_are(self, api: Api) -> None:
        person = await api.person()
        app = await with_app(person)
        challenge = await challenge_of(api, person.email)
        await set_throttle(api, person.email, consecutive=99)
        assert (await answer_with(api, challenge, code=app.wrong_code())).status_code == 401
        await set_throttle(api, person.email, next_allowed_at=text("clock_timestamp()"))
        answer = await answer_with(api, challenge, code=app.code(1))
        assert (answer.status_code, answer.json()["code"]) == (429, "password_locked")
        assert "retry-after" not in answer.headers, "no time is enough"

    async def test_an_address_without_account_is_locked_alike_and_free_for_its_owner(self, api: Api) -> None:
        email = "hammered@example.test"
        await failures(api, email, 1)
        await set_throttle(api, email, consecutive=100)
        answer = await login(api, email)
        assert (answer.status_code, answer.json()["code"]) == (429, "password_locked")
        await api.register(email)
        assert (await login(api, email)).json()["code"] == "password_locked", "an open door would tell"
        await api.post("/auth/verify-email", {"token": await api.mailed_token(email, MailTokenKind.VERIFY)})
        assert (await login(api, email)).status_code == 200

    async def test_registering_again_forgives_nothing(self, api: Api) -> None:
        person = await api.person()
        await failures(api, person.email)
        await api.register(person.email)
        assert (await login(api, person.email)).status_code == 429


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The work that requests cause: statements, and hashes with their parameters, in order. What the process does
    beside them is in other contexts."""
    work: list[str] = []
    verify = PasswordHasher.verify

    def hashed(self: PasswordHasher, stored: str, password: str) -> bool:
        work.append(f"argon2 {extract_parameters(stored)}")
        return bool(verify(self, stored, password))

    asked = ContextVar("asked", default=False)

    def executed(*arguments: object) -> None:
        if asked.get():
            work.append(str(arguments[2]))

    def seen(through: Callable[..., object]) -> Callable[..., object]:
        def called(self: asyncpg.Connection, query: str, *arguments: object) -> object:
            if asked.get():
                work.append(query.strip())
            return through(self, query, *arguments)

        return called

    event.listen(Engine, "before_cursor_execute", executed)
    with monkeypatch.context() as patch:
        patch.setattr(PasswordHasher, "verify", hashed)
        for way in ("execute", "fetch", "fetchrow", "fetchval"):
            patch.setattr(asyncpg.Connection, way, seen(getattr(asyncpg.Connection, way)))
        token = asked.set(True)
        yield work
        asked.reset(token)
    event.remove(Engine, "before_cursor_execute", executed)


class TestEnumeration:
    async def test_whatever_is_wrong_costs_the_same_work(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        person, blocked = await api.person(), await api.person()
        await api.register("unverified-work@example.test")
        async with api.identity.db.sessions.begin() as session:
            mine = update(User).where(col(User.id) == blocked.user_id)
            await session.execute(mine.values(state=UserState.BLOCKED))
            without = update(User).where(col(User.id) == (social := await api.person()).user_id)
            await session.execute(without.values(password_hash=None))
        tries = [
            (person.email, WRONG),
            ("nobody-here@example.test", WRONG),
            ("unverified-work@example.test", PASSWORD),
            (blocked.email, PASSWORD),
            (social.email, PASSWORD),
        ]
        done: list[list[str]] = []
        for email, password in tries:
            with watched(monkeypatch) as work:
                assert (await login(api, email, password)).status_code == 401
            done.append(list(work))
        for work in done:
            assert work == done[0]

        assert sum(line.startswith("argon2") for line in done[0]) == 1

    async def test_the_hash_comes_after_the_count(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        person = await api.person()
        with watched(monkeypatch) as work:
            await login(api, person.email, WRONG)
        counted = next(n for n, line in enumerate(work) if line.startswith("UPDATE login_throttle"))
        assert counted < next(n for n, line in enumerate(work) if line.startswith("argon2"))

    async def test_a_refused_attempt_hashes_nothing_known_or_not(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        emails = [(await api.person()).email, "ghost-of-a-chance@example.test"]
        done, answers = [], []
        for email in emails:
            await failures(api, email)
            with watched(monkeypatch) as work:
                answers.append(await login(api, email))
            done.append(list(work))
        assert done[0] == done[1]
        assert not any(line.startswith("argon2") for line in done[0])
        assert said(answers[0]) == said(answers[1])

    async def test_no_request_of_anybody_unknown_tells_by_its_time_who_has_an_account(self, api: Api) -> None:
        """The middle of several pairs in one run, generous: what is hidden would be a factor of three and more."""

        async def seconds(path: str, body: dict[str, str]) -> float:
            start = time.perf_counter()
            await api.post(path, body)
            return time.perf_counter() - start

        people = [await api.person() for _ in range(7)]
        for path, more in (("/auth/login", {"password": WRONG}), ("/auth/password/forgot", {})):
            pairs = [
                (
                    await seconds(path, {"email": who.email} | more),
                    await seconds(path, {"email": f"stranger{n}@example.test"} | more),
                )
                for n, who in enumerate(people)
            ]
            assert 0.6 < statistics.median(known / unknown for known, unknown in pairs) < 1.6, path


async def test_a_day_later_nobody_waits(api: Api) -> None:
    person = await api.person()
    await failures(api, person.email)
    assert (await login(api, person.email)).status_code == 429
    day = timedelta(hours=24)
    async with api.identity.db.sessions.begin() as session:
        past = {"last_fail_at": LoginThrottle.last_fail_at - day, "next_allowed_at": LoginThrottle.next_allowed_at}
        key = api.identity.throttle_key(api.identity.blind_index(person.email))
        await session.execute(update(LoginThrottle).where(col(LoginThrottle.key) == key).values(**past))
    assert await failures(api, person.email, 1) == [401]
