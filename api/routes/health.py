"""Probes and metrics. Not below /api/v1, not public, never cached by anybody but `/readyz` itself for a second."""

import time
from collections.abc import Mapping

import asyncpg
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.services import Services, services_of
from models.queries import schema

router = APIRouter(tags=["operations"])
CACHE_SECONDS = 1.0


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
    known: tuple[float, dict[str, str]] | None = getattr(state, "readiness", None)
    if known is None or time.monotonic() - known[0] > CACHE_SECONDS:
        known = (time.monotonic(), await _look(services_of(request)))
        state.readiness = known
    dependencies = known[1]
    ready = dependencies["postgres"] == "ok" and not getattr(state, "draining", False)
    return JSONResponse({"ready": ready, "dependencies": dependencies}, 200 if ready else 503)


@router.get("/metrics", operation_id="metrics", include_in_schema=False)
async def metrics() -> Response:
    """Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _look(services: Services) -> dict[str, str]:
    redis = await services.redis.ping()
    temporal = await services.gateway.reachable()
    return {
        "postgres": await _postgres(services),
        "redis": "ok" if redis else "degraded",
        "temporal": "ok" if temporal else "degraded",
    }


async def _postgres(services: Services) -> str:
    try:
        revision = await schema.revision(services.db)
    except asyncpg.UndefinedTableError:
        return "not migrated"
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return "away"
    return "ok" if revision == schema.NEEDED else f"schema is {revision}, this release needs {schema.NEEDED}"
