"""Finds the route of a request by a word of its path.

FastAPI asks every route in turn and keeps included routers nested: at sixty routes that took longer than all the rest
of a small GET. Here the routes of a feature lie in one short list, and whatever matches none of them (404, 405, another
method) goes the ordinary way. Routes that have a plan (`api/resolver.py`) do not even enter FastAPI's middleware.
"""

from collections import defaultdict
from collections.abc import Iterable

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api import errors
from api.resolver import planned


def mount(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Serve the routes of `routers`. `app.state.api_routes` names them all for 405 and the OpenAPI document."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    app.router.routes.extend(routes)
    app.router.middleware_stack = _Dispatch(app.router.middleware_stack, [(route, route.app) for route in routes])
    plans = [(route, plan) for route in routes if (plan := planned(route.dependant)) is not None]
    app.add_middleware(_PlainReads, plans)
    app.state.api_routes = routes


class _Dispatch:
    def __init__(self, otherwise: ASGIApp, served: Iterable[tuple[APIRoute, ASGIApp]]) -> None:
        self._otherwise = otherwise
        self._routes: defaultdict[str, list[tuple[APIRoute, ASGIApp]]] = defaultdict(list)
        for route, app in served:
            self._routes[_word(route.path)].append((route, app))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            for route, app in self._routes.get(_word(path), ()):
                if method in (route.methods or ()) and (match := route.path_regex.match(path)):
                    scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, match.groupdict()
                    return await self._serve(app, scope, receive, send)
        await self._otherwise(scope, receive, send)

    async def _serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)


class _PlainReads(_Dispatch):
    async def _serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:  # every kind has its answer, or is raised again
            await (await errors.answer(Request(scope), error))(scope, receive, send)


def _word(path: str) -> str:
    """The third segment, where `/api/v1/…` names the feature; no route has a parameter there."""
    segments = path.split("/", 4)
    return segments[3] if len(segments) > 3 else ""
