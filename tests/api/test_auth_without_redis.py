"""Redis holds nothing whose loss opens a door: flushed, dead or frozen, revoked stays revoked and limits hold."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from api.rate_limit import RateLimiter
from core.db import Database
from core.ids import new_id
from core.redis import Redis, RedisAway, Script
from core.settings import RateLimit, RateLimits, Settings
from tests.api.signing_in import OPEN, Api, api_process


@dataclass
class Link:
    """What lies between an api and Redis: it can be cut, frozen, and mended."""

    port: int
    upstream: tuple[str, int]
    frozen: bool = False
    cut: bool = False
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        with suppress(OSError):
            if self.cut:
                return writer.transport.abort()
            up_reader, up_writer = await asyncio.open_connection(*self.upstream)
            await asyncio.gather(self._pipe(reader, up_writer), self._pipe(up_reader, writer))

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if not self.frozen:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()

    def die(self) -> None:
        self.cut = True
        for writer in self.writers:
            writer.transport.abort()


@asynccontextmanager
async def link_to(url: str) -> AsyncIterator[tuple[Link, str]]:
    parts = urlsplit(url)
    link = Link(0, (parts.hostname or "", parts.port or 6379))
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link, url.replace(f":{parts.port}", f":{link.port}")
    finally:
        server.close()
        link.die()


@pytest.fixture
async def linked(settings: Settings, db: Database) -> AsyncIterator[tuple[Api, Link]]:
    open_settings = settings.model_copy(update={"rate_limits": OPEN})
    async with (
        link_to(settings.redis_url.get_secret_value()) as (link, url),
        api_process(open_settings, redis_url=url) as api,
    ):
        yield api, link


def trouble(link: Link, kind: str) -> None:
    if kind == "dead":
        link.die()
    else:
        link.frozen = True


async def test_a_revoked_session_stays_revoked_when_redis_is_flushed(linked: tuple[Api, Link]) -> None:
    api, _ = linked
    gone, live = await api.person(), await api.person()
    assert await gone.is_let_in()
    await api.post("/auth/logout", token=gone.access_token)
    await api.identity.redis.call("FLUSHALL")
    assert (await gone.is_let_in(), await live.is_let_in()) == (False, True)


@pytest.mark.parametrize("kind", ["dead", "frozen"])
async def test_redis_lost_logs_nobody_out_and_lets_nobody_in(linked: tuple[Api, Link], kind: str) -> None:
    api, link = linked
    gone, live, later = [await api.person() for _ in range(3)]
    await api.post("/auth/logout", token=gone.access_token)
    trouble(link, kind)
    assert (await gone.is_let_in(), await live.is_let_in(), await later.is_let_in()) == (False, True, True)
    assert (await api.post("/auth/logout", token=later.access_token)).status_code == 204
    assert not await later.is_let_in()
    assert (await api.login(live.email)).status_code == 200


async def test_a_logout_while_redis_is_away_reaches_the_ok_another_process_left_there(
    settings: Settings, linked: tuple[Api, Link]
) -> None:
    api, link = linked
    person = await api.person()
    assert await person.is_let_in()  # leaves `ok` in Redis
    link.die()
    await api.post("/auth/logout", token=person.access_token)
    link.cut = False
    async with api_process(settings.model_copy(update={"rate_limits": OPEN})) as other:
        async with asyncio.timeout(5):
            while (await other.get("/auth/sessions", person.access_token)).status_code == 200:
                await asyncio.sleep(0.05)


async def test_a_frozen_redis_costs_one_request_its_time_limit_and_the_next_nothing(linked: tuple[Api, Link]) -> None:
    api, link = linked
    person = await api.person()
    await person.is_let_in()
    link.frozen = True

    async def seconds() -> float:
        start = time.perf_counter()
        assert await person.is_let_in()
        return time.perf_counter() - start

    times = [await seconds() for _ in range(6)]
    assert max(times) < 0.25
    assert sorted(times)[1] < 0.05, times


async def test_redis_coming_back_is_used_again(linked: tuple[Api, Link]) -> None:
    api, link = linked
    link.die()
    assert not await api.identity.redis.ping()
    link.cut = False
    async with asyncio.timeout(5):
        while not await api.identity.redis.ping():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", ["dead", "frozen", "flushed"])
async def test_the_accounts_limit_holds_whatever_happens_to_redis(linked: tuple[Api, Link], kind: str) -> None:
    api, link = linked
    person = await api.person()
    assert [(await api.login(person.email, "not the password")).status_code for _ in range(6)] == [401] * 6
    if kind == "flushed":
        await api.identity.redis.call("FLUSHALL")
    else:
        trouble(link, kind)
    assert (await api.login(person.email)).status_code == 429


async def test_logins_from_one_address_are_limited_by_the_process_while_redis_is_dead(
    settings: Settings, db: Database
) -> None:
    async with api_process(settings, redis_url="redis://127.0.0.1:9") as api:
        answers = await asyncio.gather(*[api.login(f"{new_id()}@example.test") for _ in range(40)])
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [401] * 20 + [429] * 20


async def test_a_burst_passes_exactly_once_however_many_ask_together(redis_url: str) -> None:
    redis = Redis(redis_url, call_seconds=10)  # here the script's arithmetic counts, not our patience
    limiter = RateLimiter(redis, RateLimits(default=RateLimit(quota=100, window=60, burst=100)))
    user = new_id()
    answers = await asyncio.gather(*[limiter.hit_with_session(user, f"sess:{{{user}}}:x") for _ in range(300)])
    assert sum(state.allowed for _, state in answers) == 100
    refused = next(state for _, state in answers if not state.allowed)
    assert (refused.remaining, refused.retry_after, refused.reset) == (0, 1, 60)
    assert refused.headers() == [
        (b"ratelimit-policy", b'"default";q=100;w=60'),
        (b"ratelimit", b'"default";r=0;t=60'),
    ]
    await redis.close()


async def test_the_script_and_the_fallback_count_alike(redis_url: str) -> None:
    limits = RateLimits(login=RateLimit(quota=3, window=60, burst=3))
    here, gone = Redis(redis_url), Redis("redis://127.0.0.1:9")
    key = str(new_id())
    for redis in (here, gone):
        limiter = RateLimiter(redis, limits)
        states = [await limiter.hit("login", key) for _ in range(5)]
        assert [(s.allowed, s.remaining) for s in states] == [(True, 2), (True, 1), (True, 0), (False, 0), (False, 0)]
        assert [s.reset for s in states] == [20, 40, 60, 60, 60]
        assert 19 <= states[-1].retry_after <= 20
        await redis.close()


async def test_the_fallback_divides_the_quota_by_the_processes() -> None:
    limits = RateLimits(default=RateLimit(quota=100, window=60, burst=40))
    limiter = RateLimiter(Redis("redis://127.0.0.1:9"), limits, processes=4)
    states = [(await limiter.hit("default", "somebody")).allowed for _ in range(20)]
    assert states == [True] * 10 + [False] * 10


async def test_a_script_unknown_to_the_server_is_sent_once_more_in_full(redis_url: str) -> None:
    redis = Redis(redis_url)
    script = Script.of(f"return '{new_id()}'")
    first = await redis.run(script, "0")
    await redis.call("SCRIPT", "FLUSH")
    assert await redis.run(script, "0") == first
    await redis.close()


async def test_a_refusing_redis_counts_as_away(redis_url: str) -> None:
    redis = Redis(redis_url)
    with pytest.raises(RedisAway):
        await redis.call("NO-SUCH-COMMAND")
    assert await redis.ping()
    wrong = Redis(redis_url.replace("redis://:", "redis://:wrong"))
    with pytest.raises(RedisAway):
        await wrong.call("PING")
    await redis.close()


async def test_an_answer_goes_to_its_own_question_after_others_gave_up(redis_url: str) -> None:
    redis = Redis(redis_url)
    await redis.call("PING")
    asked = [asyncio.create_task(redis.call("ECHO", str(number))) for number in range(50)]
    await asyncio.sleep(0)
    for task in asked[::2]:
        task.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[1::2] == [str(number).encode() for number in range(1, 50, 2)]
    await redis.close()


async def test_a_busy_event_loop_is_not_mistaken_for_a_slow_redis(redis_url: str) -> None:
    redis = Redis(redis_url)
    await redis.call("PING")
    asked = asyncio.create_task(redis.call("PING"))
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 - the stall is what is tested
    assert await asked == b"PONG"
    await redis.close()
