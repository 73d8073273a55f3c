"""Must hold: Redis holds nothing whose loss opens a door or silences a reminder (F7)."""

import os
import signal

import httpx
import pytest
import redis.asyncio

from tests.faults.ledger import Ledger
from tests.person import PASSWORD, Person, soon
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(180)


async def redis_client(stack: Stack) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(stack.settings()["PETFOLIO_REDIS_URL"])


async def test_a_revoked_session_stays_revoked_when_redis_is_flushed(stack: Stack, person: Person) -> None:
    assert (await person.call("GET", "/users/profile")).status_code == 200
    assert (await person.call("POST", "/auth/logout", json={"refresh_token": person.refresh_token})).status_code == 204
    assert (await person.call("GET", "/users/profile")).status_code == 401
    await (await redis_client(stack)).flushall()
    assert (await person.call("GET", "/users/profile")).status_code == 401


async def test_guessing_does_not_get_a_new_start_when_redis_is_flushed(
    stack: Stack, person: Person, client: httpx.AsyncClient
) -> None:
    async def guess(password: str) -> int:
        answer = await client.post("/api/v1/auth/login", json={"email": person.email, "password": password})
        return answer.status_code

    assert [await guess("not the password at all") for _ in range(6)] == [401] * 5 + [401]
    await (await redis_client(stack)).flushall()
    assert await guess(PASSWORD) == 429


async def test_reminders_go_out_and_requests_are_served_while_redis_is_dead(
    stack: Stack, person: Person, inbox: Inbox, ledger: Ledger
) -> None:
    stopped = await stack.kill("redis", signal.SIGSTOP)
    try:
        answer = await ledger.remind(person, "redisless", soon(3))
        assert answer is not None
        assert answer.status_code == 201, answer.text
        verdict = await ledger.outcome(stack, inbox, person, within=20)
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert verdict.late.max <= 10

    async def fast_again() -> bool:
        return (await person.call("GET", "/users/profile")).status_code == 200

    await until(fast_again, within=20, what="the api serves with redis again")
