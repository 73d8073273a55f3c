"""The floor of a webhook: a FastAPI route that verifies with Stripe's SDK and inserts one row.

No account is looked for and nobody is told; what it answers 200 to is only remembered.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import stripe
import uvicorn
from fastapi import FastAPI, Request, Response

from core.db import API_POOL
from integrations.payments.signature import SKEW

SECRET = os.environ["BENCH_SECRET"]
_INSERT = "INSERT INTO bench_stripe_events (id, type) VALUES ($1, $2) ON CONFLICT DO NOTHING"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Its pool, of the size of the api's."""
    size = API_POOL.reads
    async with asyncpg.create_pool(
        os.environ["PETFOLIO_DATABASE_URL"], min_size=size, max_size=size, ssl=False
    ) as app.state.pool:
        yield


app = FastAPI(lifespan=lifespan, telemetry={"tracing": False, "metrics": False, "logs": False})


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """It is there."""
    return {}


@app.post("/api/v1/webhooks/stripe")
async def receive(request: Request) -> Response:
    """One event."""
    raw = await request.body()
    stripe.WebhookSignature.verify_header(raw, request.headers.get("stripe-signature"), SECRET, tolerance=SKEW)
    event = json.loads(raw)
    await request.app.state.pool.execute(_INSERT, event["id"], event["type"])
    return Response(status_code=200)


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(os.environ["BENCH_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        backlog=2048,
    )
