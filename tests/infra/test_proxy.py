"""Slow clients wait at the proxy and never at the api. Runs where haproxy is installed, and on any Debian."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import socketio

from core.db import Database
from core.settings import Settings
from infra.check_infra import PROXY
from infra.haproxy import Unobtainable, haproxy
from infra.local import ports
from tests.api.test_process import OURS, api_server
from tests.relay.kit import until

LIMIT_SECONDS = 5.0
HEAD = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n"

UPGRADE = (
    b"GET /socket.io/?transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


@pytest.fixture(scope="module")
async def proxy(settings: Settings, db: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    """The proxy of production in front of an api process; its port."""
    try:
        program = haproxy()
    except Unobtainable as reason:
        pytest.skip(str(reason))
    api_port, port = [port for port in OURS if ports.is_free(port)][:2]
    async with (
        api_server(settings, api_port, PETFOLIO_API__TRUSTED_PROXIES='["127.0.0.1"]'),
        running(program, configured(tmp_path_factory.mktemp("proxy") / "haproxy.cfg", port, api_port), port),
    ):
        yield port


def configured(path: Path, port: int, api_port: int, **instead: str) -> Path:
    """The proxy of production for this machine, with other numbers where a test cannot wait so long or open so many."""
    config = PROXY.read_text().replace("bind :8080", f"bind 127.0.0.1:{port}")
    config = config.replace('"${PETFOLIO_API_HOST}:8000"', f"127.0.0.1:{api_port}")
    files = next(free for free in OURS if free not in (port, api_port) and ports.is_free(free))
    config = config.replace("bind :8081", f"bind 127.0.0.1:{files}").replace('"${PETFOLIO_S3_HOST}', '"127.0.0.1')
    for name, other in instead.items():
        config, found = re.subn(rf"{name.replace('_', ' ')} \S+", f"{name.replace('_', ' ')} {other}", config, count=1)
        assert found
    path.write_text(config)
    return path


@asynccontextmanager
async def running(
    program: str, config: Path, port: int, is_ready: Callable[[int], Awaitable[bool]] | None = None
) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(program, "-db", "-f", str(config))
    try:
        await until(lambda: (is_ready or passes)(port), seconds=15)
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[int]:
    """The proxy with room for three requests of half a second, in front of a server that lets sockets in and answers
    polls after a second; its port."""
    try:
        program = haproxy()
    except Unobtainable as reason:
        pytest.skip(str(reason))
    port = next(port for port in OURS if ports.is_free(port))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if b"upgrade: websocket" in head:
                    writer.write(SWITCHED)
                    await reader.read()
                    break
                if b"poll" in head:
                    await asyncio.sleep(1)  # real time: it is the proxy's clock that is tested
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    api_port = server.sockets[0].getsockname()[1]
    numbers = {"timeout_server": "500ms", "rise_2_maxconn": "3"}
    async with server, running(program, configured(tmp_path / "haproxy.cfg", port, api_port, **numbers), port):
        yield port


async def passes(port: int) -> bool:
    with suppress(httpx.TransportError):
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
    return False


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HT", HEAD, HEAD + b"Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{"],
    ids=["says nothing", "stops in the first line", "never ends its head", "never ends its body"],
)
async def test_a_client_that_never_gets_to_the_end_is_shown_out(proxy: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(sent)
    began = time.monotonic()
    async with asyncio.timeout(3 * LIMIT_SECONDS):
        answer = await reader.read()
    assert answer == b"" or b" 408 " in answer.split(b"\r\n")[0] + b" "
    assert time.monotonic() - began >= LIMIT_SECONDS / 2, "it was shown out for being slow, not for what it said"
    writer.close()


async def test_others_are_served_while_many_dawdle(proxy: int) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", proxy) for _ in range(200)]
    for _, writer in slow:
        writer.write(HEAD)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{proxy}") as client:
        for _ in range(20):
            assert (await client.get("/healthz")).status_code == 200
    for _, writer in slow:
        writer.close()


async def test_a_body_that_says_it_is_too_large_ends_at_the_proxy_with_a_problem(proxy: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(HEAD + b"Content-Length: 99000000\r\n\r\n")
    async with asyncio.timeout(LIMIT_SECONDS):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert b" 413 " in head
    assert b"application/problem+json" in head
    writer.close()


async def test_two_lengths_make_one_request(proxy: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    smuggled = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(
        HEAD
        + b"Content-Type: application/json\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%b"
        % (len(smuggled), smuggled)
    )
    async with asyncio.timeout(3 * LIMIT_SECONDS):
        answer = await reader.read()
    assert answer.count(b"HTTP/1.1 ") == 1
    writer.close()


async def test_metrics_and_trace_stay_inside(proxy: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{proxy}") as client:
        assert (await client.get("/metrics")).status_code == 404
        assert (await client.request("TRACE", "/healthz")).status_code == 405


async def test_nobody_outside_says_where_they_come_from(proxy: int) -> None:
    """Each made-up address would have a limit of its own."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{proxy}") as client:
        answers = [
            await client.post(
                "/api/v1/auth/login",
                json={"email": f"nobody-{n}@example.test", "password": "x"},
                headers={"X-Forwarded-For": f"203.0.113.{n}"},
            )
            for n in range(30)
        ]
    assert {answer.status_code for answer in answers} == {401, 429}


async def test_open_sockets_take_no_request_its_place(narrow: int) -> None:
    """A thousand of them would take the api down for everybody."""
    sockets = [await asyncio.open_connection("127.0.0.1", narrow) for _ in range(6)]
    for reader, writer in sockets:
        writer.write(UPGRADE)
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    assert await passes(narrow)
    for _, writer in sockets:
        writer.close()


async def test_a_long_poll_waits_longer_than_a_request(narrow: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{narrow}") as client:
        assert (await client.get("/socket.io/?transport=polling")).status_code == 200
        assert (await client.get("/api/v1/poll")).status_code == 504


def test_the_proxy_waits_for_the_ping_of_socket_io() -> None:
    """A poll is answered by the next ping, or given up on."""
    own = socketio.AsyncServer(async_mode="asgi").eio
    (seconds,) = re.findall(r"backend live.*?timeout server (\d+)s", PROXY.read_text(), re.DOTALL)
    assert int(seconds) > own.ping_interval + own.ping_timeout
