"""Finds the route of a request by a word of its path.

FastAPI asks every route in turn and keeps included routers nested: at sixty routes that took longer than all the rest
of a small GET. Here the routes of a feature lie in one short list, and whatever matches none of them (404, 405, another
method) goes the ordinary way.
"""

from collections import defaultdict
from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send


def mount(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Serve the routes of `routers`. `app.state.api_routes` names them all for 405 and the OpenAPI document."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    app.router.routes.extend(routes)
    app.router.middleware_stack = _Dispatch(app.router.middleware_stack, routes)
    app.state.api_routes = routes


class _Dispatch:
    def __init__(self, otherwise: ASGIApp, routes: Iterable[APIRoute]) -> None:
        self._otherwise = otherwise
        self._routes: defaultdict[str, list[APIRoute]] = defaultdict(list)
        for route in routes:
            self._routes[_word(route.path)].append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            for route in self._routes.get(_word(path), ()):
                if method in (route.methods or ()) and (match := route.path_regex.match(path)):
                    scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, match.groupdict()
                    return await route.app(scope, receive, send)
        await self._otherwise(scope, receive, send)


def _word(path: str) -> str:
    """The third segment, where `/api/v1/…` names the feature; no route has a parameter there."""
    segments = path.split("/", 4)
    return segments[3] if len(segments) > 3 else ""
