"""Every refusal as `application/problem+json` (RFC 9457): stable `code`, never an echo of the input, never a 500 for
something that merely is away."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

import asyncpg
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy import exc as sa
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.access import note_denial
from core.errors import FieldProblem, PetfolioError
from core.logging import logger
from domain.access import NotPermitted

log = logger(__name__)

Handler = Callable[[Request, Exception], Awaitable[Response]]

PROBLEM = "application/problem+json"
TITLES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
# SQLSTATE classes and codes of a database that is away, busy or full, as opposed to a statement of ours that is wrong:
# connection exception, insufficient resources, operator intervention (shutdown, cancelled by a time limit), system
# error, deadlock, serialisation failure, lock not available, a standby that refuses writes, a transaction that took too
# long.
_AWAY = ("08", "53", "57", "58", "40P01", "40001", "55P03", "25006", "25P03", "25P04")

# What asyncpg calls internal: a connection that a dying server has said goodbye on, and that is not closed yet.
_OF_CLIENT = (asyncpg.InterfaceError, asyncpg.InternalClientError)
_DATABASE = (sa.DBAPIError, sa.TimeoutError, asyncpg.PostgresError, *_OF_CLIENT, OSError, TimeoutError)
_OUR_FILES = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def problem(
    request_id: str,
    status: int,
    code: str,
    detail: str,
    *,
    errors: tuple[FieldProblem, ...] = (),
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The one shape of a refusal."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{request_id}",
        "code": code,
        **(extra or {}),
    }
    if errors:
        document["errors"] = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in errors]
    return Response(orjson.dumps(document), status, dict(headers or {}), media_type=PROBLEM)


def install(app: FastAPI) -> None:
    """Register the handlers below."""
    for kind, handler in _handlers().items():
        app.add_exception_handler(kind, handler)


async def answer(request: Request, error: Exception) -> Response:
    """What `install` would have answered, where Starlette is not asked. Raises the error if it has no answer."""
    handlers = _handlers()
    handler = next((handlers[kind] for kind in type(error).__mro__ if kind in handlers), None)
    if handler is None:
        raise error
    return await handler(request, error)


@cache
def _handlers() -> Mapping[type[Exception], Handler]:
    return {
        PetfolioError: _refused,
        NotPermitted: _denied,
        RequestValidationError: _invalid,
        HTTPException: _http,
        **dict.fromkeys(_DATABASE, _database),
    }


def unexpected(request_id: str) -> Response:
    """500: a defect of ours. The log has the trace under the same id."""
    return problem(request_id, 500, "internal", "something went wrong on our side; it was noted under this request id")


def away(request_id: str, code: str = "database_unavailable") -> Response:
    """503: the same request is welcome in a moment."""
    return problem(request_id, 503, code, "temporarily unavailable, try again", headers={"Retry-After": "2"})


def _id(request: Request) -> str:
    return str(getattr(request.state, "request_id", "-"))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, PetfolioError)  # noqa: S101 - how Starlette types handlers
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.http_status == 503:
        headers.setdefault("Retry-After", "2")
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.http_status == 502:
        log.error("refused_by_provider", request_id=_id(request), code=error.problem_code)
    elif error.http_status >= 500 and error.http_status != 503:
        log.error("defect", request_id=_id(request), code=error.problem_code, exc_info=error)
        return unexpected(_id(request))
    return problem(
        _id(request),
        error.http_status,
        error.problem_code,
        error.detail,
        errors=error.errors,
        extra=error.extra,
        headers=headers,
    )


async def _denied(request: Request, error: Exception) -> Response:
    """What is not on record was not answered, either (I13)."""
    try:
        await note_denial(request)
    except _DATABASE as silent:
        return await _database(request, silent)
    return await _refused(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - how Starlette types handlers
    errors = tuple(_field(entry) for entry in error.errors())
    return problem(_id(request), 422, "validation_failed", "the request cannot be used as it is", errors=errors)


def _field(entry: Any) -> FieldProblem:
    """pydantic's entry without input and context: neither may be echoed."""
    where, *path = entry["loc"]
    pointer = "/" + "/".join(str(step)[:64].replace("~", "~0").replace("/", "~1") for step in path) if path else ""
    return FieldProblem(pointer if where == "body" else f"#{where}{pointer}", entry["type"], entry["msg"][:200])


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - how Starlette types handlers
    if error.status_code == 405 or request.method == "TRACE":
        return method_not_allowed(request)
    if error.status_code == 404:
        return problem(_id(request), 404, "not_found", "there is nothing here")
    return problem(_id(request), error.status_code, "http_error", TITLES.get(error.status_code, "refused"))


def method_not_allowed(request: Request) -> Response:
    """405 that names every method of the path, not only those of the route that matched first (RFC 9110 §15.5.6)."""
    allowed: set[str] = set()
    for route in request.app.state.api_routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            allowed |= route.methods or set()
    if "GET" in allowed:
        allowed.add("HEAD")  # served by the middleware
    headers = {"Allow": ", ".join(sorted(allowed))}
    return problem(_id(request), 405, "method_not_allowed", "this path has other methods", headers=headers)


async def _database(request: Request, error: Exception) -> Response:
    if not is_away(error):
        log.error("defect", request_id=_id(request), exc_info=error)
        return unexpected(_id(request))
    log.warning("database_away", request_id=_id(request), error=type(error).__name__)
    return away(_id(request))


def is_away(error: Exception) -> bool:
    """Whether the database, not our statement or our own files, is the reason."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_AWAY)
    if not isinstance(error, sa.DBAPIError):
        return not isinstance(error, _OUR_FILES)
    cause = error.orig.__cause__ if error.orig is not None else None
    state = getattr(error.orig, "sqlstate", None) or getattr(cause, "sqlstate", None) or ""
    gone = isinstance(cause, (*_OF_CLIENT, OSError, TimeoutError))
    return error.connection_invalidated or gone or str(state).startswith(_AWAY)
