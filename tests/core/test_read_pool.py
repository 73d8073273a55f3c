"""The pool of hot reads, on a real server: bounded, fair, and never a connection whose answer is still under way."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import pytest

from core import read_pool
from core.db import AWAY
from core.read_pool import ReadPool
from core.settings import Settings
from tests.stack import until

SIZE = 3
PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[ReadPool]:
    """A small one."""
    opened = pool_of(settings)
    yield opened
    await opened.close()


def pool_of(settings: Settings, wait_seconds: float = 5.0) -> ReadPool:
    async def connect() -> asyncpg.Connection:
        name = {"application_name": "read-pool"}
        return await asyncpg.connect(settings.database_url.get_secret_value(), ssl=False, server_settings=name)

    return ReadPool(connect, size=SIZE, wait_seconds=wait_seconds)


async def open_connections(settings: Settings) -> int:
    url = settings.database_url.get_secret_value()
    watcher = await asyncpg.connect(url, ssl=False)
    try:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'read-pool'"
        return int(await watcher.fetchval(count))
    finally:
        await watcher.close()


async def test_one_after_the_other_uses_one_connection(pool: ReadPool) -> None:
    assert len({await pool.fetchval(PID) for _ in range(5)}) == 1
    assert await pool.fetch("SELECT 1 AS one") == [(1,)]
    row = await pool.fetchrow("SELECT 1 AS one WHERE $1", False)
    assert row is None


async def test_many_at_once_share_what_there_is_in_the_order_they_came(pool: ReadPool, settings: Settings) -> None:
    done: list[int] = []

    async def read(number: int) -> int:
        pid = int(await pool.fetchval(f"{PID} FROM pg_sleep(0.01)"))
        done.append(number)
        return pid

    pids = await asyncio.gather(*(read(number) for number in range(30)))
    assert len(set(pids)) == SIZE == await open_connections(settings)
    assert all(abs(place - number) <= SIZE for place, number in enumerate(done)), done


async def test_who_waits_too_long_is_told_and_takes_nobodys_place(settings: Settings) -> None:
    pool = pool_of(settings, wait_seconds=0.05)
    held = [await pool.take() for _ in range(SIZE)]
    with pytest.raises(TimeoutError):
        await pool.fetchval(PID)
    for connection in held:
        pool.put(connection, sound=True)
    assert await pool.fetchval("SELECT 1") == 1
    await pool.close()
    assert await until_open(settings, 0)


async def until_open(settings: Settings, wanted: int) -> bool:
    async def reached() -> bool:
        return await open_connections(settings) == wanted

    return bool(await until(reached, within=10, what=f"{wanted} connections are open"))


async def test_a_cancelled_read_leaves_no_answer_to_the_next(pool: ReadPool) -> None:
    before = await pool.fetchval(PID)
    slow = asyncio.create_task(pool.fetchval("SELECT 'late' FROM pg_sleep(5)"))
    await asyncio.sleep(0)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert await pool.fetchval("SELECT 'mine'") == "mine"
    assert await pool.fetchval(PID) != before


@pytest.mark.parametrize(
    ("query", "argument", "error"),
    [("SELECT $1::int / 0", 1, asyncpg.DivisionByZeroError), ("SELECT $1::int", "text", asyncpg.DataError)],
)
async def test_a_refused_statement_keeps_its_connection(
    pool: ReadPool, query: str, argument: object, error: type[Exception]
) -> None:
    before = await pool.fetchval(PID)
    with pytest.raises(error):
        await pool.fetchval(query, argument)
    assert await pool.fetchval(PID) == before


async def test_an_open_transaction_does_not_come_back(pool: ReadPool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("BEGIN")
        before = await connection.fetchval(PID)
    assert await pool.fetchval(PID) != before


async def test_connections_the_server_ended_are_replaced(pool: ReadPool, settings: Settings) -> None:
    await asyncio.gather(*(pool.fetchval(f"{PID} FROM pg_sleep(0.05)") for _ in range(SIZE)))
    watcher = await asyncpg.connect(settings.database_url.get_secret_value(), ssl=False)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'read-pool'"
    assert len(await watcher.fetch(ended)) == SIZE
    await watcher.close()
    assert await until_open(settings, 0)
    assert await pool.fetchval("SELECT 1") == 1


async def test_spare_connections_age(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(settings)
    await asyncio.gather(*(pool.fetchval("SELECT 1 FROM pg_sleep(0.05)") for _ in range(SIZE)))
    monkeypatch.setattr(read_pool, "IDLE_SECONDS", -1.0)

    async def one_more() -> bool:
        await pool.fetchval("SELECT 1")
        return await open_connections(settings) == 0

    assert await until(one_more, within=10, what="spare connections are closed")
    await pool.close()


async def test_a_storm_of_cancellations_loses_no_place(settings: Settings) -> None:
    pool, chance = pool_of(settings), random.Random(7)

    async def read() -> None:
        task = asyncio.create_task(pool.fetchval("SELECT 1 FROM pg_sleep(0.002)"))
        await asyncio.wait([task], timeout=chance.choice([0, 0.0005, 0.003, 1]))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await asyncio.gather(*(read() for _ in range(300)))
    assert (pool._taken, len(pool._idle) <= SIZE) == (0, True)
    held = [await pool.take() for _ in range(SIZE)]
    for connection in held:
        pool.put(connection, sound=True)
    await pool.close()
    assert await until_open(settings, 0)


async def test_a_server_that_is_not_there_frees_the_place(settings: Settings) -> None:
    async def connect() -> asyncpg.Connection:
        raise ConnectionRefusedError

    pool = ReadPool(connect, size=1, wait_seconds=1)
    answers = await asyncio.gather(*(pool.fetchval("SELECT 1") for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionRefusedError] * 5


async def test_a_server_that_has_said_goodbye_and_not_hung_up_yet_is_away_and_the_next_call_has_another_connection(
    settings: Settings,
) -> None:
    """As when Postgres is killed: the message is there before the end of the connection."""
    async with _half_open(settings) as way:
        url = urlsplit(settings.database_url.get_secret_value())
        through = url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{way.port}").geturl()
        pool = ReadPool(lambda: asyncpg.connect(through, ssl=False), size=1, wait_seconds=5)
        first = await pool.fetchval(PID)
        watcher = await asyncpg.connect(url.geturl(), ssl=False)
        way.said.clear()
        await watcher.execute("SELECT pg_terminate_backend($1)", first)
        await asyncio.wait_for(way.said.wait(), 10)
        await asyncio.sleep(0)  # asyncpg reads what was forwarded
        with pytest.raises(AWAY):
            await pool.fetchval(PID)
        assert await pool.fetchval(PID) != first
        way.hangs_up.set()
        await pool.close()
        await watcher.close()


@dataclass(frozen=True, slots=True)
class _Way:
    """To Postgres. `said`: it has said something; `hangs_up`: from then on its hanging up is passed on, too."""

    port: int
    said: asyncio.Event
    hangs_up: asyncio.Event


@asynccontextmanager
async def _half_open(settings: Settings) -> AsyncIterator[_Way]:
    url, said, hangs_up = urlsplit(settings.database_url.get_secret_value()), asyncio.Event(), asyncio.Event()

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
            said.set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(url.hostname, url.port)
        there = asyncio.create_task(pump(reader, server_writer))
        await pump(server_reader, writer)
        await hangs_up.wait()
        there.cancel()
        for each in (server_writer, writer):
            each.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield _Way(server.sockets[0].getsockname()[1], said, hangs_up)
