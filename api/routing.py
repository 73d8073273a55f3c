"""The one class of routes: strict JSON in, and the stored answer for a repeated `Idempotency-Key`."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from api import idempotency, strict_json
from core.errors import PetfolioError


class UnsupportedMediaType(PetfolioError):
    """415: a body that is not declared as JSON."""

    code = "unsupported_media_type"
    http_status = 415


class Route(APIRoute):
    """FastAPI's route with our reading of bodies, and with idempotency inside the request's transaction.

    FastAPI leaves the function-scoped dependencies, and with them commits, after the handler below has returned
    (fastapi/routing.py, `request_response`): what is stored here is committed together with the effect.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps FastAPI's own handler."""
        handle = super().get_route_handler()
        takes_body = self.body_field is not None

        async def handler(request: Request) -> Response:
            if takes_body:
                await _read_json(request)
            try:
                response = await handle(request)
            except idempotency.Replay as replay:
                return replay.response
            await idempotency.remember(request, response)
            return response

        return handler


async def _read_json(request: Request) -> None:
    """Parse the body before FastAPI does; it then finds the value where Starlette caches it."""
    body = await request.body()
    if not body:
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMediaType("send the body as application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("send the body without a content encoding")
    request._json = strict_json.parse(body)


def router(prefix: str, tag: str) -> APIRouter:
    """A router below /api/v1 of one feature."""
    return APIRouter(prefix=f"/api/v1{prefix}", tags=[tag], route_class=Route)
