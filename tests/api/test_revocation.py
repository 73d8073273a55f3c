"""Sessions end everywhere within a second, whatever dies meanwhile; and of all refreshes of a token one counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from core.db import Database
from core.settings import Settings
from models.queries import sessions
from models.session import Session
from tests.api.signing_in import OPEN, Api, Person, api_process, bearer, ended_meanwhile
from tests.api.test_process import api_server
from tests.relay.kit import until


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings) as process:
        yield process


@pytest.fixture(scope="module")
async def other(settings: Settings, db: Database) -> AsyncIterator[Api]:
    """A second process of the same installation."""
    async with api_process(settings) as process:
        yield process


async def lets_in(api: Api, token: str) -> bool:
    return (await api.get("/auth/sessions", token)).status_code == 200


async def rows_of(api: Api, person: Person) -> list[Session]:
    async with api.identity.db.sessions() as session:
        return list((await session.scalars(select(Session).where(col(Session.user_id) == person.user_id))).all())


class TestRefresh:
    async def test_fifty_at_once_over_two_processes_get_the_same_bytes(self, api: Api, other: Api) -> None:
        person = await api.person()
        body = {"refresh_token": person.refresh_token}
        answers = await asyncio.gather(*[(api, other)[n % 2].post("/auth/refresh-token", body) for n in range(50)])
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        (row,) = await rows_of(api, person)
        assert (row.gen, row.revoked_at) == (2, None)
        assert (await person.refresh(answers[0].json()["refresh_token"])).status_code == 200

    async def test_a_thief_and_the_victim_alternating_are_found_out_by_whoever_comes_late(self, api: Api) -> None:
        person = await api.person()
        tokens = [person.refresh_token]
        for _ in range(3):
            tokens.append((await person.refresh(tokens[-1])).json()["refresh_token"])
        answers = await asyncio.gather(*[person.refresh(token) for token in (tokens[0], tokens[1], tokens[-1])])
        assert [answer.status_code for answer in answers[:2]] == [401, 401]
        newest = answers[2].json().get("refresh_token", tokens[-1])
        assert (await person.refresh(newest)).status_code == 401
        assert not await person.is_let_in()
        assert (await api.mails(person.email)).count("session_reuse") == 4, "once on each channel"

    async def test_refreshes_that_race_with_signing_out_everywhere_leave_nothing_alive(
        self, api: Api, other: Api
    ) -> None:
        for _ in range(5):
            person = await api.person()
            body = {"refresh_token": person.refresh_token}
            racing = [asyncio.create_task(other.post("/auth/refresh-token", body)) for _ in range(10)]
            out = await api.post("/auth/logout-all", token=person.access_token)
            assert out.status_code == 204
            for answer in await asyncio.gather(*racing):
                assert answer.status_code in (200, 401)
                if answer.status_code == 200:
                    assert not await lets_in(other, answer.json()["access_token"])
                    assert (await person.refresh(answer.json()["refresh_token"])).status_code == 401
            assert (await person.refresh()).status_code == 401

    async def test_a_refresh_and_the_end_of_its_session_do_not_wait_for_each_other_for_ever(self, api: Api) -> None:
        person = await api.person()
        (row,) = await rows_of(api, person)
        jobs = [person.refresh() for _ in range(10)]
        ends = [api.delete(f"/auth/sessions/{row.id}", person.access_token) for _ in range(10)]
        answers = await asyncio.gather(*jobs, *ends)
        assert {answer.status_code for answer in answers} <= {200, 204, 401}
        assert not await person.is_let_in()


class TestEndings:
    async def test_what_one_process_ends_the_other_refuses(self, api: Api, other: Api) -> None:
        person = await api.person()
        first = person.access_token
        second, third, fourth = [(await api.login(person.email)).json()["access_token"] for _ in range(3)]
        everything = [first, second, third, fourth]
        assert [await lets_in(other, token) for token in everything] == [True] * 4  # each leaves `ok` in Redis
        ids = {token: api.identity.tokens.verify(token).session_id for token in everything}
        await api.delete(f"/auth/sessions/{ids[second]}", first)
        assert [await lets_in(other, token) for token in everything] == [True, False, True, True]
        await api.delete("/auth/sessions", third)
        assert [await lets_in(other, token) for token in everything] == [False, False, True, False]
        await api.post("/auth/logout-all", token=third)
        assert not await lets_in(other, third)
        await api.identity.redis.call("FLUSHALL")
        assert not any([await lets_in(each, token) for each in (api, other) for token in everything])

    async def test_a_process_killed_right_after_its_commit_has_ended_the_session(
        self, settings: Settings, api: Api
    ) -> None:
        person = await api.person()
        async with api_server(settings, PETFOLIO_FAILPOINT="session_revoked:kill") as (process, client):
            assert await person.is_let_in()  # leaves `ok` in Redis for ten seconds
            with suppress(httpx.TransportError):
                await client.post("/api/v1/auth/logout", headers=bearer(person.access_token))
            assert await process.wait() == -9
        (row,) = await rows_of(api, person)
        assert row.revoked_at is not None
        await until(lambda: refused(person), seconds=2)  # ours is one; the rest is the machine's

    async def test_a_login_in_the_moment_of_a_revocation_does_not_get_in(self, api: Api) -> None:
        """Its session would not be among those that ended, and Redis would take it for a live one for ten seconds."""
        person = await api.person()
        late = await ended_meanwhile(api, person, api.login(person.email))
        assert (late.status_code, late.json()["code"]) == (401, "invalid_credentials")
        assert [row.revoke_reason for row in await rows_of(api, person)] == ["password_reset"]
        assert (await api.login(person.email)).status_code == 200

    async def test_what_nobody_told_redis_is_refused_all_the_same(self, api: Api, other: Api) -> None:
        person, bystander = await api.person(), await api.person()
        assert await lets_in(other, person.access_token)
        (row,) = await rows_of(api, person)
        async with api.identity.db.sessions.begin() as session:
            await sessions.revoke(session, row.id, "by hand")
        await until(lambda: refused(person), seconds=2)
        assert await bystander.is_let_in()

    async def test_a_strangers_session_does_not_exist(self, api: Api) -> None:
        person, stranger = await api.person(), await api.person()
        (row,) = await rows_of(api, person)
        for session_id in (row.id, person.user_id):
            answer = await api.delete(f"/auth/sessions/{session_id}", stranger.access_token)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert (await api.delete("/auth/sessions/1", stranger.access_token)).status_code == 422
        assert await person.is_let_in()
        own = (await api.get("/auth/sessions", stranger.access_token)).json()["items"]
        assert str(row.id) not in {entry["id"] for entry in own}

    async def test_the_list_names_devices_and_no_full_address(self, api: Api) -> None:
        person = await api.person()
        login = await api.http.post(
            "/api/v1/auth/login",
            json={"email": person.email, "password": "correct horse battery staple"},
            headers={"User-Agent": "Petfolio/3.1 (iPhone)\x07"},
        )
        items = (await api.get("/auth/sessions", login.json()["access_token"])).json()["items"]
        network = ".".join([*api.address.split(".")[:3], "0/24"])
        assert items[0]["user_agent"] == "Petfolio/3.1 (iPhone)"
        assert [entry["current"] for entry in items] == [True, False]
        assert {entry["ip"] for entry in items} == {network}
        assert all(set(entry) == {"id", "created_at", "last_seen", "ip", "user_agent", "current"} for entry in items)


async def refused(person: Person) -> bool:
    return not await person.is_let_in()
