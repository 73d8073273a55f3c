"""Bench 11, last part: the nightly comparison with Stripe, of a thousand subscriptions and of ten thousand.

All but one are copies, there and here, of one that was really sold and read. A few differ on either side without
anybody having been told; after the comparison they are what Stripe says.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bench.billing_truth import differing
from bench.platform import Platform
from bench.processes import memory_bytes
from bench.stripe_shop import Shop
from core.crypto import Subject
from temporal import ids, queues
from temporal.client import connect, plugin
from temporal.contracts.billing_reconcile import BillingReconciled, ReconcileBilling
from tests.stack import until
from workflows.billing_reconcile import BillingReconcileWorkflow

DRIFT = 5
"""On either side."""
_AT_ONCE = 500
_LOOK_SECONDS = 0.1
_ROWS = """
WITH copies AS (SELECT * FROM unnest($2::uuid[], $3::text[]) AS c(account_id, subscription_id)),
read AS (
    INSERT INTO billing_snapshots SELECT (jsonb_populate_record(s, to_jsonb(c))).*
      FROM billing_snapshots s, copies c WHERE s.account_id = $1)
INSERT INTO entitlements SELECT (jsonb_populate_record(e, jsonb_build_object('account_id', c.account_id))).*
  FROM entitlements e, copies c WHERE e.account_id = $1"""
_MISREAD = "UPDATE billing_snapshots SET status = 'past_due', price_id = 'price_of_nobody' WHERE account_id = ANY($1)"


@dataclass(frozen=True, slots=True)
class Night:
    """One comparison: `grown` is the worker's memory in bytes at its highest, beyond what it had before."""

    subscriptions: int
    seconds: float
    requests: int
    drift: int
    grown: int


@dataclass(frozen=True, slots=True)
class Original:
    """What is copied. `of`: the ids of everything at Stripe that belongs to it, the customer's and the subscription's
    first."""

    account: UUID
    of: Sequence[str]


async def run(on: Platform, shop: Shop, original: Original, sizes: Sequence[int]) -> list[Night]:
    """A night for each size; the sizes grow."""
    copies: dict[str, UUID] = {}
    nights = []
    for size in sizes:
        while len(copies) < size:
            copies |= await _copy(shop, original, min(_AT_ONCE, size - len(copies)))
        nights.append(await _night(on, shop, copies))
    return nights


async def sold(shop: Shop, customer: str, account: UUID) -> Original:
    """The subscription of this customer, which the platform has read."""
    found: Any = await shop.subscription(customer)
    expand = {"expand": ["payments.data.payment.payment_intent"]}
    invoice = await shop.v1.invoices.retrieve_async(found.latest_invoice, expand)
    paid = invoice.payments.data[0]
    intent = paid.payment.payment_intent
    method = (await shop.v1.customers.payment_methods.list_async(customer)).data[0]
    return Original(account, [customer, found.id, invoice.id, paid.id, intent.id, str(intent.latest_charge), method.id])


async def repaired(shop: Shop, payers: Mapping[str, UUID]) -> None:
    """Until all of these are stored as they are at Stripe."""

    async def is_repaired() -> bool:
        return not await differing(shop, payers)

    await until(is_repaired, within=120, what="everybody is stored as Stripe says")


async def _copy(shop: Shop, original: Original, count: int) -> dict[str, UUID]:
    accounts = await shop.people(original.account, count)
    made = await shop.control("copies", of=list(original.of), times=count)
    copies = dict(zip((customer for customer, *_ in made), accounts, strict=True))
    await shop.belong(copies)
    await shop.db.reads.execute(_ROWS, original.account, accounts, [subscription for _, subscription, *_ in made])
    return copies


async def _night(on: Platform, shop: Shop, copies: Mapping[str, UUID]) -> Night:
    planted = await _drift(shop, copies)
    await shop.requests()
    (worker,) = await on.pids("worker-billing")
    client = await connect(on.settings, plugin(shop.keys), lazy=False, runtime=None)
    async with highest(worker) as memory:
        before, began = memory_bytes(worker), time.perf_counter()
        found: BillingReconciled = await client.execute_workflow(
            BillingReconcileWorkflow.run,
            ReconcileBilling(),
            id=f"{ids.job('billing-reconcile')}/bench-{len(copies)}",
            task_queue=queues.BILLING,
        )
        seconds = time.perf_counter() - began
    asked = await shop.requests()
    await repaired(shop, planted)
    return Night(len(copies), seconds, len(asked), found.drift, max(memory) - before)


async def _drift(shop: Shop, copies: Mapping[str, UUID]) -> dict[str, UUID]:
    """Who differs now: half of them here, half there."""
    planted = dict(list(copies.items())[-2 * DRIFT :])
    for account in planted.values():
        await shop.keys.create(Subject.user(account))
    here, there = list(planted.values())[:DRIFT], list(planted)[DRIFT:]
    await shop.db.reads.execute(_MISREAD, here)
    for number, customer in enumerate(there):
        changed: Any = await shop.subscription(customer)
        if number % 2:
            await shop.control(f"objects/{changed.id}", "DELETE")
        else:
            await shop.control(f"objects/{changed.id}", status="canceled", canceled_at=int(time.time()))
    return planted


@asynccontextmanager
async def highest(pid: int) -> AsyncIterator[list[int]]:
    """What a process has of memory, looked at again and again within the block."""
    seen = [memory_bytes(pid)]

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            seen.append(memory_bytes(pid))

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
