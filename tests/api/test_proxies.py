"""Whom limits count, and who is slowed down by a flood: a real `python -m api`, asked over TCP."""

import asyncio
import json
import statistics
import time
from collections import Counter

import httpx
import pytest

from core.ids import new_id
from core.settings import Settings
from tests.api.signing_in import PLENTY, Api, bearer
from tests.api.test_process import api_server

WRONG = "not the password at all"
# Nobody reads its log, and a full pipe would stop it.
OPEN_ENV = {"PETFOLIO_LOG_LEVEL": "warning"} | {
    f"PETFOLIO_RATE_LIMITS__{policy.upper()}": PLENTY.model_dump_json()
    for policy in ("default", "anonymous", "login", "login_hourly", "login_account")
}


@pytest.fixture(autouse=True)
async def _a_share_of_its_own(api: Api) -> None:
    """This machine's address is everybody's here: what one test used up is not held against the next."""
    await api.identity.redis.call("FLUSHALL")


async def attempt(client: httpx.AsyncClient, *forwarded: str) -> int:
    headers = [("X-Forwarded-For", value) for value in forwarded]
    body = {"email": f"{new_id()}@example.test", "password": WRONG}
    return (await client.post("/api/v1/auth/login", json=body, headers=headers)).status_code


async def statuses(client: httpx.AsyncClient, *forwarded: str, count: int = 24) -> Counter[int]:
    """Of logins to accounts of which each is tried once; `{n}` in a header is the number of the attempt."""
    lines = [[value.replace("{n}", str(n)) for value in forwarded] for n in range(count)]
    return Counter(await asyncio.gather(*[attempt(client, *line) for line in lines]))


@pytest.mark.parametrize("proxies", ["[]", '["192.0.2.1"]'], ids=["none", "another"])
async def test_whoever_claims_another_address_without_our_proxy_is_counted_all_the_same(
    settings: Settings, api: Api, proxies: str
) -> None:
    async with api_server(settings, PETFOLIO_API__TRUSTED_PROXIES=proxies) as (_, client):
        assert await statuses(client, "203.0.113.{n}") == {401: 20, 429: 4}


async def test_behind_a_configured_proxy_the_address_it_saw_counts_and_not_what_the_client_wrote(
    settings: Settings, api: Api
) -> None:
    proxies = json.dumps(["127.0.0.1", "10.0.0.0/8"])
    async with api_server(settings, PETFOLIO_API__TRUSTED_PROXIES=proxies) as (_, client):
        one = await statuses(client, "198.51.100.7")
        assert one == {401: 20, 429: 4}
        assert await statuses(client, "198.51.100.8", count=5) == {401: 5}, "another address has a share of its own"
        invented = await statuses(client, "203.0.113.{n}, 198.51.100.9")
        assert invented == {401: 20, 429: 4}, "what stands before the address our proxy saw was written by the client"
        two_lines = await statuses(client, "203.0.113.{n}", "198.51.100.10, 10.1.2.3")
        assert two_lines == {401: 20, 429: 4}, "a chain of our proxies is followed to the first that is not ours"
        assert await statuses(client, "2001:db8:1:1::{n}", count=24) == {401: 20, 429: 4}, "an IPv6 /64 is one network"


async def test_the_session_list_shows_the_place_the_proxy_saw(settings: Settings, api: Api) -> None:
    person = await api.person()
    async with api_server(settings, PETFOLIO_API__TRUSTED_PROXIES='["127.0.0.1"]') as (_, client):
        body = {"email": person.email, "password": "correct horse battery staple"}
        headers = {"X-Forwarded-For": "198.51.100.77"}
        tokens = (await client.post("/api/v1/auth/login", json=body, headers=headers)).json()
        listed = await client.get("/api/v1/auth/sessions", headers=bearer(tokens["access_token"]))
        assert [entry["ip"] for entry in listed.json()["items"] if entry["current"]] == ["198.51.100.0/24"]


@pytest.mark.timeout(180)
async def test_a_flood_of_logins_is_turned_away_and_slows_nobody_else_down(settings: Settings, api: Api) -> None:
    """Reads during the flood against the flood's own logins, in one run: hashing on the event loop, or in its default
    pool, would make both wait alike."""
    person = await api.person()
    async with api_server(settings, **OPEN_ENV) as (_, client):
        done = asyncio.Event()
        answers: list[tuple[int, float, str | None]] = []

        async def flood() -> None:
            while not done.is_set():
                body = {"email": f"{new_id()}@example.test", "password": WRONG}
                start = time.perf_counter()
                answer = await client.post("/api/v1/auth/login", json=body)
                answers.append((answer.status_code, time.perf_counter() - start, answer.headers.get("retry-after")))
                if answer.status_code == 503:
                    # As it says; the cores that the clients of a harder flood took would be the server's.
                    await asyncio.sleep(float(answer.headers["retry-after"]))

        async def read() -> float:
            start = time.perf_counter()
            answer = await client.get("/api/v1/users/profile", headers=bearer(person.access_token))
            assert answer.status_code == 200, answer.text
            return time.perf_counter() - start

        flooding = [asyncio.create_task(flood()) for _ in range(80)]
        while len(answers) < 40:
            await asyncio.sleep(0.01)
        reads = [await read() for _ in range(60)]
        done.set()
        await asyncio.gather(*flooding)
    assert {status for status, _, _ in answers} == {401, 503}
    assert all(retry is not None for status, _, retry in answers if status == 503)
    hashed = statistics.median(seconds for status, seconds, _ in answers if status == 401)
    assert statistics.median(reads) * 4 < hashed
    assert statistics.quantiles(reads, n=20)[-1] < hashed
