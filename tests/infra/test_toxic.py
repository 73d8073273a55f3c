"""The bad network of the tests of faults is bad in the way it was asked for, and in no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from infra.local.toxic import Toxic, toxic


@pytest.fixture
async def proxy() -> AsyncIterator[Toxic]:
    """In front of a server that says everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1_000):
            writer.write(data)
        writer.close()

    async with (
        await asyncio.start_server(echo, "127.0.0.1", 0) as server,
        toxic(server.sockets[0].getsockname()[:2]) as proxy,
    ):
        yield proxy


@asynccontextmanager
async def connection(proxy: Toxic) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield reader, writer
    writer.close()


async def test_what_is_sent_arrives_whole_and_so_does_its_end(proxy: Toxic) -> None:
    sent = bytes(range(256)) * 4_000
    async with connection(proxy) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent


async def test_a_delay_takes_each_way_and_keeps_the_order_when_it_changes(proxy: Toxic) -> None:
    async with connection(proxy) as (reader, writer):
        loop = asyncio.get_running_loop()
        proxy.delay, began = 0.1, loop.time()
        writer.write(b"there and back")
        assert await reader.readexactly(14) == b"there and back"
        assert loop.time() - began >= 0.2
        for n in range(50):
            proxy.delay = 0.02 * (n % 2)
            writer.write(f"{n:02}".encode())
            await asyncio.sleep(0.001)  # a piece of its own
        assert await reader.readexactly(100) == b"".join(f"{n:02}".encode() for n in range(50))


async def test_a_reset_is_an_error_and_no_end(proxy: Toxic) -> None:
    async with connection(proxy) as (reader, writer):
        proxy.reset = 1.0
        writer.write(b"lost")
        with pytest.raises(ConnectionResetError):
            await reader.read(1)


async def test_whoever_is_cut_off_is_told_at_once_and_let_in_again_afterwards(proxy: Toxic) -> None:
    async with connection(proxy) as (reader, writer):
        writer.write(b"in")
        assert await reader.readexactly(2) == b"in"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
    async with connection(proxy) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
    proxy.mend()
    async with connection(proxy) as (reader, writer):
        writer.write(b"back")
        assert await reader.readexactly(4) == b"back"


async def test_a_server_that_is_away_is_away_through_it_as_well() -> None:
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
        place = server.sockets[0].getsockname()[:2]
    async with toxic(place) as proxy, connection(proxy) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
