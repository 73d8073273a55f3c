"""Slow clients wait at the proxy and never at the api. Runs where haproxy is installed, and on any Debian."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from core.db import Database
from core.settings import Settings
from infra.check_infra import PROXY
from infra.haproxy import Unobtainable, haproxy
from infra.local import ports
from tests.api.test_process import OURS, api_server
from tests.relay.kit import until

LIMIT_SECONDS = 5.0
HEAD = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
async def proxy(settings: Settings, db: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    """The proxy of production in front of an api process; its port."""
    try:
        program = haproxy()
    except Unobtainable as reason:
        pytest.skip(str(reason))
    api_port, port = [port for port in OURS if ports.is_free(port)][:2]
    config = PROXY.read_text().replace("bind :8080", f"bind 127.0.0.1:{port}")
    path = tmp_path_factory.mktemp("proxy") / "haproxy.cfg"
    path.write_text(config.replace('"${PETFOLIO_API_HOST}:8000"', f"127.0.0.1:{api_port}"))
    async with api_server(settings, api_port, PETFOLIO_API__TRUSTED_PROXIES='["127.0.0.1"]'):
        process = await asyncio.create_subprocess_exec(program, "-db", "-f", str(path))
        try:
            await until(lambda: passes(port), seconds=15)
            yield port
        finally:
            process.kill()
            await process.wait()


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
