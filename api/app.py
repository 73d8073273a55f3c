"""The HTTP application: routers, middleware, lifespan. Nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware

from api import browser, errors, openapi
from api.access import check_rules
from api.dispatch import mount
from api.middleware.envelope import Envelope
from api.middleware.limits import Limits
from api.realtime import Realtime
from api.routes import ALL, codec, docs
from api.services import open_services
from core.settings import Settings

EXPOSED = (
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)


class _Docs(TypedDict):
    docs_url: None
    redoc_url: None
    openapi_url: str


def create_app(settings: Settings, *, access_log: bool = False) -> FastAPI:
    """The application. It starts, and answers 503 where it must, while Postgres, Redis or Temporal are away."""

    realtime = Realtime(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services, realtime.serving(services):
            app.state.services = services
            yield

    documents: _Docs = {"docs_url": None, "redoc_url": None, "openapi_url": "/openapi.json"}
    # FastAPI's own spans and logs hold query strings, addresses and messages of exceptions; counting is ours.
    telemetry: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
    app = FastAPI(
        title="Petfolio", version="1", lifespan=lifespan, redirect_slashes=False, telemetry=telemetry, **documents
    )
    app.state.settings, app.state.realtime = settings, realtime
    routers: list[APIRouter] = [*ALL]
    if settings.api.docs:
        routers.append(docs.docs_router())
    mount(app, routers)
    check_rules(app.state.api_routes)
    errors.install(app)
    openapi.install(app)
    codec.install(app, settings)
    app.add_middleware(Limits)
    app.add_middleware(Envelope, deadline=settings.api.request_deadline, access_log=access_log)
    if settings.api.cors_origins:
        # Outermost: a browser shows no answer without these headers, not even a refusal.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.api.cors_origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "If-Match",
                "If-None-Match",
                "Idempotency-Key",
                browser.HEADER,
            ],
            expose_headers=EXPOSED,
            allow_credentials=True,
            max_age=600,
        )
    app.add_middleware(realtime.middleware)
    return app
