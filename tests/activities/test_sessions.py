"""The sweep of sessions on real Postgres: what may still be asked for stays, what may not is gone."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.sessions import SessionActivities
from core.db import Database
from core.settings import Settings
from temporal.contracts.sessions import SessionsSwept, SweepSessions
from tests.api.signing_in import OPEN, Api, Person, api_process


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as process:
        yield process


@pytest.fixture
async def chain(api: Api) -> tuple[Person, list[str]]:
    """Somebody who refreshed four times, with all the tokens."""
    person = await api.person()
    tokens = [person.refresh_token]
    for _ in range(4):
        tokens.append((await person.refresh(tokens[-1])).json()["refresh_token"])
    return person, tokens


async def sweep(db: Database) -> SessionsSwept:
    activities = SessionActivities(db.sessions, lifetime=timedelta(days=90))
    return await ActivityEnvironment().run(activities.sweep_sessions, SweepSessions(page_size=2))


async def age(db: Database, user_id: UUID, **by: timedelta) -> None:
    """Move what a person's session remembers into the past."""
    async with db.sessions.begin() as session:
        if "answer" in by:
            earlier = "UPDATE sessions SET rotated_at = rotated_at - CAST(:by AS interval) WHERE user_id = :user_id"
            await session.execute(text(earlier), {"by": by["answer"], "user_id": user_id})
        if "tokens" in by:
            earlier = """UPDATE retired_refresh r SET retired_at = retired_at - CAST(:by AS interval)
                           FROM sessions s WHERE s.id = r.session_id AND s.user_id = :user_id"""
            await session.execute(text(earlier), {"by": by["tokens"], "user_id": user_id})


async def counted(db: Database) -> tuple[int, int]:
    """(accounts with attempts, known devices)"""
    query = "SELECT (SELECT count(*) FROM login_throttle) AS accounts, (SELECT count(*) FROM device_cookies) AS devices"
    row = await db.reads.fetchrow(query)
    assert row is not None
    return row["accounts"], row["devices"]


async def test_an_answer_that_may_be_asked_for_again_stays(db: Database, chain: tuple[Person, list[str]]) -> None:
    person, tokens = chain
    answer = await person.refresh(tokens[-2])
    assert await sweep(db) == SessionsSwept(0, 0)
    again = await person.refresh(tokens[-2])
    assert (again.status_code, again.content) == (200, answer.content)


async def test_later_it_is_gone_and_a_stolen_token_is_known_all_the_same(
    db: Database, chain: tuple[Person, list[str]]
) -> None:
    person, tokens = chain
    await age(db, person.user_id, answer=timedelta(minutes=2), tokens=timedelta(days=89))
    assert await sweep(db) == SessionsSwept(1, 0)
    assert await sweep(db) == SessionsSwept(0, 0)
    assert (await person.refresh(tokens[0])).status_code == 401
    assert (await person.refresh(tokens[-1])).status_code == 401, "the session has ended"


async def test_tokens_older_than_any_session_are_forgotten_page_by_page(
    db: Database, chain: tuple[Person, list[str]]
) -> None:
    person, _ = chain
    await age(db, person.user_id, tokens=timedelta(days=91))
    assert await sweep(db) == SessionsSwept(0, 3)
    assert (await person.refresh((await person.api.login(person.email)).json()["refresh_token"])).status_code == 200


async def test_devices_past_their_end_and_accounts_nobody_tries_are_forgotten(db: Database, api: Api) -> None:
    person = await api.person()
    stranger = f"nobody-{person.user_id}@example.test"
    for email in (person.email, stranger):
        assert (await api.login(email, "wrong and long enough")).status_code == 401
    await sweep(db)
    before = await counted(db)
    async with db.sessions.begin() as session:
        await session.execute(text("UPDATE login_throttle SET last_fail_at = last_fail_at - interval '91 days'"))
        await session.execute(text("UPDATE device_cookies SET created_at = created_at - interval '91 days'"))
        locked = "UPDATE login_throttle SET consecutive = 100 WHERE key = :key"
        key = api.identity.throttle_key(api.identity.blind_index(person.email))
        await session.execute(text(locked), {"key": key})
    swept = await sweep(db)
    assert (swept.attempts, swept.devices) == (before[0] - 1, before[1])
    assert await counted(db) == (1, 0), "an account at the cap stays there"
