"""Around every request: its id, security headers, deadline, metrics, one log line, and a 500 that says nothing.

The outermost layer and part of the hot path: plain ASGI, no response objects.
"""

import asyncio
import re
import time
from functools import cache

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import away, unexpected
from api.rate_limit import rate_limit_headers
from core.ids import new_id
from core.logging import logger, plain_line

log = logger(__name__)

REQUESTS = Counter(
    "petfolio_http_requests_total", "Requests by route template and status.", ("method", "route", "status")
)
SECONDS = Histogram(
    "petfolio_http_request_seconds",
    "Time to the last byte, by route template.",
    ("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15),
)
_GIVEN_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_SECURITY = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


class Envelope:
    """`deadline` is in seconds: past it the caller gets 503, or a cut connection if the answer had begun."""

    def __init__(self, app: ASGIApp, deadline: float, *, access_log: bool) -> None:
        self.app, self.deadline, self.access_log = app, deadline, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        # HEAD is GET without the body (RFC 9110 §9.3.2). The server keeps its own scope and so knows.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        status = 0

        async def sealed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(header for header in _SECURITY if header[0] not in own),
                    *rate_limit_headers(scope),
                    (b"x-request-id", request_id.encode()),
                ]
            elif inner is not scope:
                message = {**message, "body": b""}
            await send(message)

        try:
            async with asyncio.timeout(self.deadline):
                await self.app(inner, receive, sealed)
        except Exception as error:
            late = isinstance(error, TimeoutError)
            log.error("deadline" if late else "defect", request_id=request_id, exc_info=None if late else error)
            if status:
                raise
            answer = away(request_id, "deadline_exceeded") if late else unexpected(request_id)
            await answer(scope, receive, sealed)
        finally:
            _account(inner, request_id, status, time.perf_counter() - started, access_log=self.access_log)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN_ID.fullmatch(value):
            return bytes(value).decode()
    return new_id().hex


@cache
def _counters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Looking a child up by its labels costs more than counting with it. Methods, templates and statuses are few."""
    return REQUESTS.labels(method, route, status), SECONDS.labels(method, route)


def _account(scope: Scope, request_id: str, status: int, seconds: float, *, access_log: bool) -> None:
    """Template and ids only: a path may hold a token, a query an address."""
    route, method = getattr(scope.get("route"), "path", "unknown"), scope["method"]
    count, duration = _counters(method if route != "unknown" else "other", route, status)
    count.inc()
    duration.observe(seconds)
    if access_log:
        ms = round(seconds * 1000, 1)
        plain_line("request", process="api", method=method, route=route, status=status, ms=ms, request_id=request_id)
