"""What tests of Stripe's webhook share: events as Stripe writes and signs them, and what became of them."""

import hashlib
import hmac
import json
import secrets
import time
from typing import Any, Final
from uuid import UUID

import httpx
from pydantic import BaseModel
from sqlalchemy import text

from core.db import Database
from tests.api.signing_in import Api

SECRET: Final = "whsec_" + "a" * 32
OLDER: Final = "whsec_" + "b" * 32
CREATED: Final = 1_790_000_000


def event_id() -> str:
    return f"evt_{secrets.token_hex(8)}"


def snapshot(type: str, about: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A snapshot event about an object."""
    envelope = {"id": event_id(), "object": "event", "type": type, "created": CREATED, "livemode": False}
    return envelope | {"api_version": "2026-10-28.endive", "data": {"object": about}} | fields


def thin(type: str, object_id: str, **fields: Any) -> dict[str, Any]:
    """A thin event: what happened, and to what."""
    about = {"id": object_id, "type": type.removeprefix("v1.").rpartition(".")[0], "url": f"/v1/things/{object_id}"}
    envelope = {"id": event_id(), "object": "v2.core.event", "type": type, "created": "2026-11-29T10:00:00.000Z"}
    return envelope | {"livemode": False, "related_object": about} | fields


def body_of(event: object) -> bytes:
    return json.dumps(event, indent=2).encode()


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """The header, as Stripe makes it (https://docs.stripe.com/webhooks#verify-manually)."""
    stamp = int(time.time() if at is None else at)
    return f"t={stamp},v1={signature(body, stamp, secret)}"


def signature(body: bytes, stamp: int, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), b"%d." % stamp + body, hashlib.sha256).hexdigest()


async def post(api: Api, body: bytes, header: str | None) -> httpx.Response:
    headers = [(b"content-type", b"application/json")]
    headers += [] if header is None else [(b"stripe-signature", header.encode("latin-1"))]
    return await api.http.post("/api/v1/webhooks/stripe", content=body, headers=headers)


async def deliver(api: Api, event: object, secret: str = SECRET) -> httpx.Response:
    body = body_of(event)
    return await post(api, body, signed(body, secret))


async def customer(db: Database, account_id: UUID) -> str:
    """The account has a customer at Stripe; its id."""
    customer_id = f"cus_{secrets.token_hex(8)}"
    async with db.sessions.begin() as session:
        await session.execute(
            text(
                """INSERT INTO billing_customers (account_id, stripe_customer_id, livemode)
                   VALUES (:account, :customer, false)"""
            ),
            {"account": account_id, "customer": customer_id},
        )
    return customer_id


def documented(document: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The document, which is what the api's own description says of it, no more and no less."""
    model.model_validate(document)
    assert document.keys() == model.model_fields.keys()
    return document


async def kept(db: Database, event_id: str) -> tuple[str, UUID | None] | None:
    """(state, account) of an event; None: it is not written down."""
    row = await db.reads.fetchrow("SELECT state, account_id FROM stripe_events WHERE id = $1", event_id)
    return None if row is None else (row["state"], row["account_id"])


async def bells(db: Database, workflow_id: str) -> list[dict[str, Any]]:
    """What waits for the relay, for this workflow."""
    rows = await db.reads.fetch("SELECT * FROM outbox WHERE workflow_id = $1 AND done_at IS NULL", workflow_id)
    return [dict(row) for row in rows]


async def heard(db: Database, workflow_id: str) -> None:
    """The relay has sent what waited."""
    await db.reads.execute("UPDATE outbox SET done_at = clock_timestamp() WHERE workflow_id = $1", workflow_id)
