"""What is refused before anything is parsed: oversized and smuggling requests."""

import asyncio
import contextlib
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem
from core.errors import PetfolioError

MAX_BODY = 1024 * 1024
MAX_HEADERS = 16 * 1024
MAX_URL = 8 * 1024
DISCARD_BYTES = 64 * 1024 * 1024
DISCARD_SECONDS = 5.0


class ContentTooLarge(PetfolioError):
    """413: the body counts more than 1 MiB, whatever its declared length said."""

    code = "content_too_large"
    http_status = 413


class Limits:
    """Counts headers, URL and body. A chunked body has no declared length, so it is counted as it streams in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        refusal = _refusal(scope)
        if refusal is not None:
            status, code, detail = refusal
            # The connection may hold the rest of what we refused: it must not be read as a second request. Who asked
            # before sending ("Expect: 100-continue") sends nothing when refused.
            if status == 413 and not _asks_first(scope["headers"]):
                await _discard(receive)
            headers = {"Connection": "close"}
            return await problem(scope["state"]["request_id"], status, code, detail, headers=headers)(
                scope, receive, send
            )
        if not _has_body(scope["headers"]):
            return await self.app(scope, receive, send)
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                await _discard(receive)
                raise ContentTooLarge("the body is larger than 1 MiB")
            return message

        await self.app(scope, counted, send)


def _refusal(scope: Scope) -> tuple[int, str, str] | None:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    size, length, chunked = 0, None, False
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            chunked = True
    if size > MAX_HEADERS:
        return 431, "headers_too_large", "the headers are larger than 16 KiB"
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_URL:
        return 414, "uri_too_long", "the address is longer than 8 KiB"
    if length is not None and chunked:
        return 400, "ambiguous_length", "Content-Length and Transfer-Encoding exclude each other"
    if length is not None and (not length.isdigit() or int(length[:20]) > MAX_BODY):
        return 413, "content_too_large", "the body is larger than 1 MiB"
    return None


async def _discard(receive: Receive) -> None:
    """Read the rest and keep nothing, within bounds: a client that is still sending when the connection closes sees a
    reset instead of our answer (RFC 9112 §9.6)."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            discarded, more = 0, True
            while more and discarded < DISCARD_BYTES:
                message = await receive()
                discarded += len(message.get("body", b""))
                more = bool(message.get("more_body", False))


def _asks_first(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"expect" for name, _ in headers)


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)
