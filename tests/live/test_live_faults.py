"""Live events while Redis is away, sessions end and processes stop: nothing is missing without a word."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from websockets.asyncio.client import connect

from core import live
from core.db import Database
from core.live import Event, Live, Name
from core.redis import Redis
from core.settings import Settings
from infra.local.toxic import Toxic, toxic
from tests.api.conftest import api, app
from tests.api.signing_in import Person
from tests.api.test_process import answers, api_server
from tests.api.test_reminders import person, remind, settings
from tests.live.browser import Browser
from tests.live.test_live import open_app, publish, redis, screen
from tests.relay.kit import until

__all__ = ["api", "app", "person", "redis", "screen", "settings"]


@asynccontextmanager
async def wired(settings: Settings) -> AsyncIterator[tuple[Toxic, Settings]]:
    """Settings whose Redis is at the other end of a wire that can be cut."""
    place = urlsplit(settings.redis_url.get_secret_value())
    async with toxic((place.hostname or "127.0.0.1", place.port or 6379)) as wire:
        address = f"{place.netloc.rpartition(':')[0]}:{wire.port}"
        yield wire, settings.model_copy(update={"redis_url": SecretStr(place._replace(netloc=address).geturl())})


async def test_when_redis_is_back_every_screen_fetches_anew_and_hears_again(
    screen: Browser, settings: Settings, db: Database, person: Person, redis: Redis
) -> None:
    async with wired(settings) as (wire, through), api_server(through) as (_, client):
        await open_app(screen, str(client.base_url), person)
        wire.cut()
        await publish(redis, person.user_id)
        wire.mend()
        await screen.event(live.RESET)
        (seen,) = await publish(redis, person.user_id)
        await screen.event("occurrence.due", occurrence_id=str(seen))
        assert screen.events() == []


async def test_what_could_not_be_published_breaks_the_stream_it_was_meant_for_and_no_other(
    settings: Settings, person: Person, api_person: Person, redis: Redis
) -> None:
    async with wired(settings) as (wire, through):
        theirs = Redis(through.redis_url.get_secret_value(), call_seconds=0.2)
        publisher = Live(theirs)
        for each in (person, api_person):
            await publish(redis, each.user_id)
        last = (await live.standing(redis, person.user_id, None)).last_event_id
        other = (await live.standing(redis, api_person.user_id, None)).last_event_id
        wire.cut()
        publisher.publish([Event(person.user_id, Name.OCCURRENCE_DUE, {"state": "due"})])
        await asyncio.wait([publisher._task], timeout=0.5)  # type: ignore[list-item]
        wire.mend()
        assert publisher._task is not None
        await publisher._task
        assert not (await live.standing(redis, person.user_id, last)).complete
        assert (await live.standing(redis, api_person.user_id, other)).complete
        await theirs.close()


@pytest.fixture
async def api_person(person: Person) -> Person:
    return await person.api.person()


async def test_without_redis_people_come_in_and_a_session_that_ended_still_ends_here(
    screen: Browser, settings: Settings, db: Database, person: Person
) -> None:
    async with wired(settings) as (wire, through), api_server(through) as (_, client):
        wire.cut()
        await open_app(screen, str(client.base_url), person)
        await person.request("POST", "/auth/logout")
        await screen.sees(lambda said: said.get("disconnected") == "io server disconnect", seconds=1)
        screen.tell("back")
        refused = await screen.sees(lambda said: "refused" in said)
        assert refused["data"] == {"code": "invalid_token"}


async def test_a_flushed_redis_lets_nobody_back_in(
    screen: Browser, settings: Settings, db: Database, person: Person, redis: Redis
) -> None:
    async with api_server(settings) as (_, client):
        await open_app(screen, str(client.base_url), person)
        await person.request("POST", "/auth/logout")
        await redis.call("DEL", *await keys_of(redis, person))
        await screen.sees(lambda said: "disconnected" in said)
        screen.tell("back")
        await screen.sees(lambda said: "refused" in said)


async def keys_of(redis: Redis, person: Person) -> list[bytes]:
    """What Redis knows of a person: what a flush would take, without taking it from other tests."""
    found = await redis.call("KEYS", f"*{person.user_id}*")
    assert isinstance(found, list)
    return found


async def test_who_never_shows_a_token_is_sent_away(settings: Settings, db: Database) -> None:
    async with api_server(settings) as (_, client):
        address = str(client.base_url).replace("http", "ws")
        async with connect(f"{address}/socket.io/?EIO=4&transport=websocket") as socket:
            await socket.recv()
            async with asyncio.timeout(30):
                await socket.wait_closed()


async def test_a_message_bigger_than_any_of_ours_ends_the_connection(settings: Settings, db: Database) -> None:
    async with api_server(settings) as (_, client):
        address = str(client.base_url).replace("http", "ws")
        async with connect(f"{address}/socket.io/?EIO=4&transport=websocket") as socket:
            await socket.recv()
            await socket.send("4" + "x" * 20_000)
            async with asyncio.timeout(30):
                await socket.wait_closed()
        polled = await client.post("/socket.io/?EIO=4&transport=polling", content=b"4" + b"x" * 20_000)
        assert polled.status_code == 400
        assert await answers(client, "/healthz", 200)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_process_that_stops_does_not_wait_for_its_listeners_and_they_find_another(
    screen: Browser, settings: Settings, db: Database, person: Person, transport: str
) -> None:
    async with api_server(settings, PETFOLIO_API__DRAIN_DELAY="0") as (process, client):
        await open_app(screen, str(client.base_url), person, transport=transport)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await screen.sees(lambda said: "disconnected" in said)
        assert await process.wait() == 0
        assert time.monotonic() - began < 8
        async with api_server(settings, client.base_url.port) as (_, again):
            await until(lambda: answers(again, "/healthz", 200))
            await screen.event(live.READY)
            await remind(person)
            await screen.event("workflow.updated")
