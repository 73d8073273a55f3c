"""What an account has of billing, over HTTP: the plans on sale, its own, what is wrong with it and what to do about it.

All of it comes from our own rows, as they were last read of Stripe: it is answered while Stripe is away. Whoever
changes something at Stripe rings the account's workflow and waits a moment for what it reads.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.identity import Client
from api.services import Services
from api.trail import note
from core.db import Database
from core.errors import Conflict, NotFound
from core.logging import logger
from domain.billing import dunning
from domain.billing.catalogue import LIMITS, Tier, highest
from domain.billing.dunning import OpenInvoice, PaymentState
from domain.billing.standing import GOOD, LIVE
from integrations.payments.errors import Refused
from models.queries import billing_views
from temporal import ids, outbox

log = logger(__name__)

PAY_LINK: Final = "billing_snapshots.pay_link_ct"
WAIT_SECONDS: Final = 5.0
"""For the workflow to read what was changed; the answer tells what there is by then."""
_POLL_SECONDS: Final = 0.1
_TOLD: Final = "status interval currency period_end trial_end scheduled_cancel_at synced_at".split()


class NotSubscribed(Conflict):
    """409: there is no subscription that this could be done with. `checkout`: where one begins."""

    code = "not_subscribed"


class SubscriptionChanged(Conflict):
    """409: Stripe has it otherwise than we read it last. It is read anew; then the person may decide anew."""

    code = "subscription_changed"


@asynccontextmanager
async def as_it_was_read(services: Services, account_id: UUID) -> AsyncIterator[None]:
    """What is asked of Stripe in here follows from our last read; where Stripe refuses it, that is no longer so: it has
    ended, or was changed at the portal a moment ago. Raises `SubscriptionChanged`."""
    try:
        yield
    except Refused as refused:
        log.warning("billing_refused_as_asked", account_id=str(account_id), code=refused.stripe_code)
        async with services.db.sessions.begin() as session:
            await outbox.ring_billing(session, account_id)
        raise SubscriptionChanged("Your subscription has changed meanwhile: look at it again.") from refused


def present_plans(rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """The documents of `PlanOut`, the smallest plan first."""
    prices: dict[str, list[dict[str, Any]]] = {tier: [] for tier in Tier}
    for row in rows:
        amount = {"amount": row["amount_minor"], "currency": row["currency"]}
        prices[row["tier"]].append({"lookup_key": row["lookup_key"], "interval": row["interval"], "amount": amount})
    return [{"tier": tier, "limits": limits_of(tier), "prices": prices[tier]} for tier in Tier]


def limits_of(tier: Tier) -> dict[str, int]:
    """What a plan holds."""
    held = LIMITS[tier]
    return {"pets": held.pets, "sms_per_month": held.sms_per_month, "storage_bytes": held.storage_bytes}


async def standing(db: Database, account_id: UUID) -> asyncpg.Record:
    """Everything that is known of an account. Raises `NotFound`."""
    row = await billing_views.standing(db.reads, account_id)
    if row is None:
        raise NotFound("no such account")
    return row


async def subscribed(db: Database, account_id: UUID) -> asyncpg.Record:
    """`standing` of an account whose subscription can be changed. Raises `NotSubscribed`, and `Conflict` while a
    payment is owed."""
    row = await standing(db, account_id)
    if row["status"] in GOOD:
        return row
    if row["status"] in LIVE:
        raise Conflict("A payment is owed: pay it, or replace the card, first.", code="payment_due")
    raise NotSubscribed("There is no subscription.", extra={"checkout": "/api/v1/billing/checkout"})


async def present(services: Services, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `SubscriptionOut`."""
    account_id, tier = row["account_id"], Tier(row["tier"])
    homes = await billing_views.homes(services.db.reads, account_id)
    priced = row["amount_minor"] is not None
    return {
        "tier": tier,
        "limits": limits_of(tier),
        "use": {"sms_this_month": row["sms"], "households": [_home(home) for home in homes]},
        **{name: row[name] for name in _TOLD},
        "plan": row["lookup_key"],
        "price": {"amount": row["amount_minor"], "currency": row["currency"]} if priced else None,
        "next_plan": _next_plan(row),
        "pending_change_until": row["pending_update_expires_at"],
        "problem": await _problem(services, row),
        "workflow": f"/api/v1/workflows/{ids.billing(account_id)}",
    }


async def settled(
    services: Services,
    client: Client,
    caller: Caller,
    action: str,
    seen: Callable[[asyncpg.Record], bool],
    object: str | None = None,
) -> dict[str, Any]:
    """Something was changed at Stripe: on record, heard by the account's workflow, and shown as soon as that has read
    it, or after some seconds as it is. `seen`: whether what was read has the change."""
    async with services.db.sessions.begin() as session:
        await record(session, services, client, caller, action, object)
        await outbox.ring_billing(session, caller.user_id)
    return await shown(services, caller.user_id, seen)


async def shown(services: Services, account_id: UUID, seen: Callable[[asyncpg.Record], bool]) -> dict[str, Any]:
    """The document of `SettledOut`, as soon as `seen`, or after some seconds as it is."""
    row, deadline = await standing(services.db, account_id), asyncio.get_running_loop().time() + WAIT_SECONDS
    while not (done := seen(row)) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        row = await standing(services.db, account_id)
    return {"state": "done" if done else "processing", "subscription": await present(services, row)}


async def record(
    session: AsyncSession, services: Services, client: Client, caller: Caller, action: str, object: str | None = None
) -> None:
    """An entry in the person's log of what they did with their money."""
    who = caller.user_id
    await note(session, services.identity, client, action, actor=who, subject=who, sid=caller.session_id, object=object)


def _home(row: asyncpg.Record) -> dict[str, Any]:
    tier = highest(*map(Tier, row["tiers"]))
    return {
        "household_id": row["household_id"],
        "tier": tier,
        "pets": row["pets"],
        "limit": LIMITS[tier].pets,
        "read_only": row["read_only"],
    }


def _next_plan(row: asyncpg.Record) -> dict[str, Any] | None:
    """What the subscription becomes at the end of its period."""
    if row["next_price_id"] is None:
        return None
    return {"plan": row["next_lookup_key"], "tier": row["next_tier"], "begins_at": row["period_end"]}


async def _problem(services: Services, row: asyncpg.Record) -> dict[str, Any] | None:
    """The payment that failed, and what to do about it."""
    payment = row["payment"]
    if row["open_invoice_id"] is None or row["first_failed_at"] is None or payment is None:
        return None
    invoice = OpenInvoice(
        payment=PaymentState(payment), is_retried=bool(row["is_retried"]), decline_code=row["decline_code"]
    )
    if not dunning.has_failed(invoice):
        return None
    link = await services.cipher.open_optional(PAY_LINK, row["account_id"], row["pay_link_ct"])
    return {
        "since": row["first_failed_at"],
        "todo": dunning.said_of(invoice),
        "pay_url": link,
        "plan_ends_at": row["grace_until"],
    }
