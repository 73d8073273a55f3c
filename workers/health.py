"""What a worker tells its supervisor over HTTP, on loopback or inside the pod: `/healthz`, `/readyz`, `/metrics`.

Three fixed answers need no web framework: requests are read to the end of their head, answered, and closed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from core.db import AWAY, Database
from temporal.gateway import Gateway

Answer = tuple[int, str, bytes]

_CACHE_SECONDS, _CHECK_SECONDS, _REQUEST_SECONDS = 1.0, 2.0, 5.0
_JSON = "application/json"
_PHRASES = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


class Readiness:
    """Ready means: Postgres and Temporal answer, and this process polls. Asked at most once a second."""

    def __init__(self, db: Database, gateway: Gateway) -> None:
        self._db, self._gateway = db, gateway
        self._checked_at, self._checks = -_CACHE_SECONDS, {"postgres": False, "temporal": False}
        self.polling = False

    async def checks(self) -> Mapping[str, bool]:
        """Each dependency by name. Never raises."""
        if monotonic() - self._checked_at >= _CACHE_SECONDS:
            postgres, temporal = await asyncio.gather(self._postgres(), self._gateway.reachable())
            self._checked_at, self._checks = monotonic(), {"postgres": postgres, "temporal": temporal}
        return {**self._checks, "polling": self.polling}

    async def _postgres(self) -> bool:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._db.reads.fetchval("SELECT 1")
        except AWAY:
            return False
        return True


@asynccontextmanager
async def health_server(port: int, readiness: Readiness, host: str = "127.0.0.1") -> AsyncIterator[None]:
    """Serve while the context is open; port 0 serves nothing. Raises OSError when the port is taken."""
    if port == 0:
        yield
        return
    server = await asyncio.start_server(lambda r, w: _serve(r, w, readiness), host, port)
    async with server:
        yield


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, readiness: Readiness) -> None:
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(_REQUEST_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            status, content_type, body = await _answer(head, readiness)
            writer.write(
                f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: {content_type}\r\n"
                f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
    writer.close()


async def _answer(head: bytes, readiness: Readiness) -> Answer:
    route = _ROUTES.get(b" ".join(head.split(b" ", 2)[:2]))
    return await route(readiness) if route else (404, _JSON, b'{"code":"not_found"}')


async def _healthz(_: Readiness) -> Answer:
    return 200, _JSON, b'{"status":"alive"}'


async def _readyz(readiness: Readiness) -> Answer:
    checks = await readiness.checks()
    ready = all(checks.values())
    document = {
        "status": "ready" if ready else "not_ready",
        "checks": {name: "ok" if good else "failing" for name, good in checks.items()},
    }
    return 200 if ready else 503, _JSON, orjson.dumps(document)


async def _metrics(_: Readiness) -> Answer:
    return 200, CONTENT_TYPE_LATEST, generate_latest()


_ROUTES: Mapping[bytes, Callable[[Readiness], Awaitable[Answer]]] = {
    b"GET /healthz": _healthz,
    b"GET /readyz": _readyz,
    b"GET /metrics": _metrics,
}
