"""Bench 11, second part: what follows an event. However they are shuffled and repeated, they end in what is true at
Stripe, and few reads were made for them.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from bench.load import press
from bench.platform import Platform
from bench.stripe_events import PATH, signed
from bench.stripe_shop import Shop
from domain.billing.catalogue import Tier
from integrations.payments import mapping
from integrations.payments.records import Subscription
from tests.stack import until

CHANGES = 3
"""Real ones of each account."""
_CONNECTIONS = 16
_READ = "/v1/subscriptions"
_LEFT = """SELECT (SELECT count(*) FROM stripe_events WHERE state = 'received')
                + (SELECT count(*) FROM outbox WHERE done_at IS NULL AND kind LIKE 'billing%')"""
_OURS = """
SELECT s.status, s.price_id, s.subscription_id, s.period_end, s.scheduled_cancel_at, e.tier, u.subscription_tier
  FROM users u LEFT JOIN billing_snapshots s ON s.account_id = u.id LEFT JOIN entitlements e ON e.account_id = u.id
 WHERE u.id = $1"""


@dataclass(frozen=True, slots=True)
class Truth:
    """`events` were posted, `different` of them different ones; `posting` and `settled` are seconds from the first to
    the last answer, and to the last event handled. `pulls` are reads of an account, `requests` what they asked for."""

    accounts: int
    changes: int
    events: int
    different: int
    posting: float
    settled: float
    pulls: int
    requests: int


async def run(on: Platform, shop: Shop, payers: Mapping[str, UUID], posts: int) -> Truth:
    """Change them at Stripe, bring the news in disorder, and compare everything. Raises `AssertionError` for what is
    wrong in the end."""
    subscriptions = {customer: await shop.subscribe(customer) for customer in payers}
    for number, subscription in enumerate(subscriptions.values()):
        await change(shop, number, subscription)
    events = [orjson.dumps(each, option=orjson.OPT_INDENT_2) for each in await shop.events()]
    disorder = random.Random(11)  # the same in every run
    sent = events + disorder.choices(events, k=max(0, posts - len(events)))
    disorder.shuffle(sent)
    await shop.requests()
    began = time.perf_counter()
    await post(on, sent)
    posting = time.perf_counter() - began
    await settled(shop)
    took, asked = time.perf_counter() - began, await shop.requests()
    wrong = await differing(shop, payers)
    assert not wrong, f"{len(wrong)} of {len(payers)} are not what they are at Stripe, as {wrong[0]}"
    pulls = sum(each["path"] == _READ and "customer=" in each["query"] for each in asked)
    reads = sum(each["method"] == "GET" for each in asked)
    return Truth(len(payers), CHANGES * len(payers), len(sent), len(events), posting, took, pulls, reads)


async def change(shop: Shop, number: int, subscription: Any) -> None:
    """Two changes after the beginning: a dearer plan, paid at once, and one of three that differ from account to
    account."""
    item, price = subscription.items.data[0].id, shop.prices
    dearer = {"items": [{"id": item, "price": price["family_month"]}], "proration_behavior": "always_invoice"}
    await shop.v1.subscriptions.update_async(subscription.id, dearer)
    match number % 3:
        case 0:
            await shop.v1.subscriptions.update_async(subscription.id, {"cancel_at": "min_period_end"})
        case 1:
            await shop.v1.subscriptions.cancel_async(subscription.id)
        case _:
            yearly = {"items": [{"id": item, "price": price["family_year"]}], "proration_behavior": "always_invoice"}
            await shop.v1.subscriptions.update_async(subscription.id, yearly)


async def post(on: Platform, bodies: Sequence[bytes]) -> None:
    """Each once, as fast as they are answered."""
    secret = on.env["PETFOLIO_STRIPE_WEBHOOK_SECRETS"]

    def requests(place: int) -> Iterator[bytes]:
        return (signed(secret, body) for body in bodies[place::_CONNECTIONS])

    url = f"http://127.0.0.1:{on.env['PETFOLIO_API__PORT']}{PATH}"
    done = await press(url, [requests(place) for place in range(_CONNECTIONS)], 600)
    assert (done.requests, done.errors) == (len(bodies), 0)


async def settled(shop: Shop) -> None:
    """Until no event waits to be handled, and nobody to be told."""

    async def is_settled() -> bool:
        return not await shop.db.reads.fetchval(_LEFT)

    await until(is_settled, within=300, what="every event is handled")


async def differing(shop: Shop, payers: Mapping[str, UUID]) -> list[str]:
    """Whoever is stored otherwise than Stripe says now, and how."""
    found = []
    for customer, account in payers.items():
        ours = tuple(await shop.db.reads.fetchrow(_OURS, account) or ())
        theirs = said(await shop.subscription(customer))
        if ours != theirs:
            found.append(f"{customer}: {ours}, and not {theirs}")
    return found


def said(theirs: Any) -> tuple[object, ...]:
    """What Stripe says of somebody, in the order of `_OURS`."""
    if theirs is None:
        return (None, None, None, None, None, Tier.FREE, Tier.FREE)
    found: Subscription = mapping.subscription(theirs.to_dict())
    assert found.price is not None
    tier = found.price.metadata["tier"] if found.status == "active" else Tier.FREE
    return (found.status, found.price.id, found.id, found.period_end, found.cancel_at, tier, tier)
