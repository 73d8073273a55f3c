"""Hostile requests get a 4xx problem document, never a 5xx and never their own words back (§5.3)."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from api import errors
from api.dispatch import mount
from api.middleware.envelope import Envelope
from api.middleware.limits import Limits
from api.routing import router as make_router

JSON = {"content-type": "application/json"}


class Thing(BaseModel):
    name: str
    weight_kg: float = 1


@pytest.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    """Our routing, errors and middleware around one echoing route, behind a real uvicorn on a real socket."""
    routes = make_router("/things", "things")

    @routes.post("")
    async def create(body: Thing) -> Thing:
        return body

    @routes.get("")
    async def read() -> dict[str, str]:
        return {}

    @routes.get("/defect")
    async def defect() -> None:
        raise RuntimeError("a secret inside")

    app = FastAPI()
    mount(app, [routes])
    errors.install(app)
    app.add_middleware(Limits)
    app.add_middleware(Envelope, deadline=15, access_log=False)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", loop="none", log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1/things"
    server.should_exit = True
    await serving


async def post(url: str, body: bytes, headers: dict[str, str] = JSON) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(url, content=body, headers=headers)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"name": "x", "weight_kg": NaN}', "number_range"),
        (b'{"name": "x", "weight_kg": -Infinity}', "number_range"),
        (b'{"name": "x", "weight_kg": 1e999}', "number_range"),
        (b'{"name": "\\ud800"}', "invalid_string"),
        (b'{"name": "a\\u0000b"}', "invalid_string"),
        (b'{"a\\u0000b": "x"}', "invalid_string"),
        (b'{"name": "x", "name": "y"}', "duplicate_member"),
        (b'{"name": "\xff"}', "invalid_utf8"),
        (b"[" * 200_000, "too_deep"),
        (b"[" * 40 + b"]" * 40, "too_deep"),
        (b"{", "invalid_json"),
        (b'{"name": "x", "weight_kg": ' + b"9" * 5_000 + b"}", "invalid_json"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_unusable_json_is_400(url: str, body: bytes, code: str) -> None:
    answer = await post(url, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_of_another_type_is_415(url: str) -> None:
    answer = await post(url, b"name=x", {"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 415


async def test_a_validation_error_names_the_field_and_not_the_value(url: str) -> None:
    answer = await post(url, json.dumps({"name": 17, "weight_kg": "canary-value"}).encode())
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/name", "/weight_kg"]
    assert "canary" not in answer.text


async def test_a_body_of_30_megabytes_is_413_by_its_declared_length(url: str) -> None:
    assert (await post(url, b" " * 30_000_000)).status_code == 413


async def test_a_chunked_body_is_counted_while_it_streams(url: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 65_536

    async with httpx.AsyncClient() as client:
        answer = await client.post(url, content=chunks(), headers=JSON)
    assert answer.status_code == 413


async def test_headers_of_80_kilobytes_are_431(url: str) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(url, headers={"x-junk": "a" * 80_000})).status_code in (400, 431)


async def test_an_endless_address_is_414(url: str) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(url + "?q=" + "a" * 9_000)).status_code == 414


async def test_405_lists_every_method_of_the_path(url: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.delete(url)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
        assert (await client.request("TRACE", url)).status_code == 405


async def test_two_lengths_get_one_answer_and_a_closed_connection(url: str) -> None:
    """Request smuggling: whatever follows must not be read as a second request."""
    port = int(url.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    smuggled = b"GET /api/v1/things HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(
        b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
    )
    await writer.drain()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_defect_is_a_500_that_says_nothing(url: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(url + "/defect")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["instance"] == f"urn:request:{answer.headers['x-request-id']}"


async def test_every_answer_carries_the_security_headers(url: str) -> None:
    async with httpx.AsyncClient() as client:
        answers = [await client.get(url + path) for path in ("", "/nowhere", "/defect")]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers or "/" not in answer.headers["server"]
