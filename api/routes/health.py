"""Probes and metrics. Not below /api/v1, not public, never cached by anybody but `/readyz` itself for a second."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.services import Services, services_of
from core.db import AWAY
from core.errors import NotFound
from models.queries import schema

router = APIRouter(tags=["operations"])
CACHE_SECONDS = 1.0
LOOK_SECONDS = 2.0
LOOPBACK = ("127.0.0.1", "::1")


@router.get("/healthz", operation_id="healthz")
async def healthz() -> Mapping[str, str]:
    """The process is alive. Asks nobody."""
    return {"status": "ok"}


@router.get("/readyz", operation_id="readyz")
async def readyz(request: Request) -> JSONResponse:
    """Whether this process should get traffic: Postgres answers and has this release's schema.

    Redis and Temporal are named and do not gate: requests are served without them. 503 while draining.
    """
    state = request.app.state
    look: _Look | None = getattr(state, "readiness", None)
    if look is None or time.monotonic() - look.began > CACHE_SECONDS:
        look = state.readiness = _Look(time.monotonic(), asyncio.ensure_future(_dependencies(services_of(request))))
    dependencies = await asyncio.shield(look.answer)  # the look is everybody's: one caller that leaves does not end it
    ready = dependencies["postgres"] == "ok" and not getattr(state, "draining", False)
    return JSONResponse({"ready": ready, "dependencies": dependencies}, 200 if ready else 503)


@router.get("/metrics", operation_id="metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Prometheus, for this machine only: whoever comes through a proxy or from elsewhere finds nothing here.

    A Prometheus of another machine asks `PETFOLIO_API__METRICS_PORT`.
    """
    client, headers = request.client, request.headers
    if client is None or client.host not in LOOPBACK or "x-forwarded-for" in headers or "forwarded" in headers:
        raise NotFound("there is nothing here")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at everything, shared by all who ask within a second."""

    began: float
    answer: asyncio.Future[dict[str, str]]


async def _dependencies(services: Services) -> dict[str, str]:
    postgres, redis, temporal = await asyncio.gather(
        _postgres(services), services.redis.ping(), services.gateway.reachable()
    )
    return {
        "postgres": postgres,
        "redis": "ok" if redis else "degraded",
        "temporal": "ok" if temporal else "degraded",
    }


async def _postgres(services: Services) -> str:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            revision = await schema.revision(services.db)
    except asyncpg.UndefinedTableError:
        return "not migrated"
    except AWAY:
        return "away"
    return "ok" if revision == schema.NEEDED else f"schema is {revision}, this release needs {schema.NEEDED}"
