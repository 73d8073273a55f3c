"""Dependencies of GETs and other requests without a body or query, resolved by a plan that is made once per route.

FastAPI walks the tree of dependencies anew at every request; for a read by id that was a quarter of our own CPU time.
Whatever a plan does not cover (bodies, queries, dependencies that yield) is left to FastAPI.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

_BEYOND = (
    "query_params header_params cookie_params body_params websocket_param_name http_connection_param_name "
    "response_param_name background_tasks_param_name security_scopes_param_name concurrency"
).split()


@dataclass(frozen=True, slots=True)
class _Step:
    """One call: what it takes from the request, the path and the results of earlier steps."""

    call: Callable[..., Awaitable[Any]]
    request: str | None
    results: tuple[tuple[str, int], ...]
    path: tuple[Any, ...]


def planned(endpoint: Dependant) -> ASGIApp | None:
    """The endpoint as a plain ASGI application, or None where FastAPI is needed.

    Overrides of dependencies do not reach it.
    """
    steps: list[_Step] = []
    if endpoint.call is None or inspect.signature(endpoint.call).return_annotation is not Response:
        return None
    if _plan(endpoint, steps, {}) is None:
        return None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response: Response = await _run(steps, Request(scope, receive, send))
        await response(scope, receive, send)

    return app


def _plan(dependant: Dependant, steps: list[_Step], known: dict[object, int]) -> int | None:
    """Add the steps of a dependency, its own dependencies first; answers where its result will be."""
    call = dependant.call
    if call in known:
        return known[call]
    if call is None or any(getattr(dependant, name) for name in _BEYOND) or not _is_coroutine(call):
        return None
    results: list[tuple[str, int]] = []
    for needed in dependant.dependencies:
        place = _plan(needed, steps, known)
        if place is None:
            return None
        if needed.name is not None:
            results.append((needed.name, place))
    steps.append(_Step(call, dependant.request_param_name, tuple(results), tuple(dependant.path_params)))
    known[call] = len(steps) - 1
    return known[call]


async def _run(steps: list[_Step], request: Request) -> Any:
    values: list[Any] = []
    for step in steps:
        arguments = {name: values[place] for name, place in step.results}
        if step.request is not None:
            arguments[step.request] = request
        for field in step.path:
            given = request.path_params[field.alias]
            arguments[field.name], errors = field.validate(given, {}, loc=("path", field.alias))
            if errors:
                raise RequestValidationError(errors)
        values.append(await step.call(**arguments))
    return values[-1]


def _is_coroutine(call: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
