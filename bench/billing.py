"""Bench 11: subscription billing, from the endpoint that hears of changes to the comparison of everybody at night."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from bench import billing_endpoint, billing_nights, billing_truth, stripe_shop
from bench.billing_endpoint import Endpoint
from bench.billing_nights import Night
from bench.billing_truth import Truth
from bench.platform import Platform
from bench.stripe_shop import Cast, Shop

STRANGERS = 5_000
_KINDS = 12
"""Of events that the endpoint is driven with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What is measured, as often and as much as this."""

    rounds: int
    seconds: float
    connections: int
    steady: float
    accounts: int
    posts: int
    subscriptions: int


@dataclass(frozen=True, slots=True)
class Billing:
    """Everything."""

    endpoint: Endpoint
    truth: Truth
    nights: Sequence[Night]


async def run(on: Platform, size: Size) -> Billing:
    """The nights come last: they leave the most behind."""
    async with stripe_shop.opened(on) as shop:
        owner = await shop.db.reads.fetchval("SELECT id FROM users ORDER BY id LIMIT 1")
        payers = await shop.payers(owner, size.accounts)
        truth = await billing_truth.run(on, shop, payers, size.posts)
        events = list(islice(await shop.events(), _KINDS))
        endpoint = await billing_endpoint.run(
            on,
            Cast(events, await _strangers(shop, owner)),
            Cast(events, list(payers)),
            size.rounds,
            size.seconds,
            size.connections,
            size.steady,
        )
        await billing_truth.settled(shop)
        return Billing(endpoint, truth, await _nights(on, shop, owner, size.subscriptions))


async def _strangers(shop: Shop, like: UUID) -> list[str]:
    """Customers whom nobody knows at Stripe: only the endpoint is told of them."""
    people = await shop.people(like, STRANGERS)
    customers = {f"cus_{account.hex}": account for account in people}
    await shop.belong(customers)
    return list(customers)


async def _nights(on: Platform, shop: Shop, like: UUID, subscriptions: int) -> list[Night]:
    """Of a tenth, and of all: memory must not grow with them."""
    ((customer, account),) = (await shop.payers(like, 1)).items()
    await shop.subscribe(customer)
    await shop.ring(account)
    await billing_nights.repaired(shop, {customer: account})
    original = await billing_nights.sold(shop, customer, account)
    return await billing_nights.run(on, shop, original, (subscriptions // 10, subscriptions))
