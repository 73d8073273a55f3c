"""The HTTP application: routers, middleware, lifespan. Nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware

from api import errors, openapi
from api.dispatch import mount
from api.middleware.envelope import Envelope
from api.middleware.limits import Limits
from api.routes import ALL, codec
from api.services import open_services
from core.settings import Settings


class _Docs(TypedDict):
    docs_url: None
    redoc_url: None
    openapi_url: str


def create_app(settings: Settings) -> FastAPI:
    """The application. It starts, and answers 503 where it must, while Postgres, Redis or Temporal are away."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            yield

    documents: _Docs = {"docs_url": None, "redoc_url": None, "openapi_url": "/openapi.json"}
    # FastAPI's own spans and logs hold query strings, addresses and messages of exceptions; counting is ours.
    telemetry: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
    app = FastAPI(
        title="Petfolio", version="1", lifespan=lifespan, redirect_slashes=False, telemetry=telemetry, **documents
    )
    app.state.settings = settings
    routers: list[APIRouter] = [*ALL]
    if settings.api.docs:
        routers.append(openapi.docs_router())
    mount(app, routers)
    errors.install(app)
    openapi.install(app)
    if settings.api.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.api.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key"],
            expose_headers=["ETag", "Location", "Link", "RateLimit", "RateLimit-Policy", "Retry-After"],
            allow_credentials=True,
            max_age=600,
        )
    codec.install(app, settings)
    app.add_middleware(Limits)
    app.add_middleware(Envelope, deadline=settings.api.request_deadline)
    return app
