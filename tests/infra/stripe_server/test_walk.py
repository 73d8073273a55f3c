"""Random lives of a subscription: whatever people and banks do, in whatever order, the books are right."""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.emulators.stripe_server.application import StripeServer
from infra.local.emulators.stripe_server.documents import public
from infra.local.emulators.stripe_server.objects import Document
from tests.infra.stripe_server import shops
from tests.infra.stripe_server.shapes import problems
from tests.infra.stripe_server.shops import DAY, HOUR, OPTIONS, Shop
from tests.stripe_servers import ADDRESS, opened

METHODS = ["pm_card_visa", "pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_threeDSecureRequired"]
Deed = Callable[[Shop, str, Any], Awaitable[object]]


async def _passes(shop: Shop, _: str, hours: int) -> None:
    await shop.box.passes(hours * HOUR)


async def _changes(shop: Shop, subscription: str, how: tuple[str, str, str]) -> None:
    key, prorations, behavior = how
    item = (await shop.subscription(subscription)).items.data[0]
    change = {"items": [{"id": item.id, "price": shop.prices[key]}], "proration_behavior": prorations}
    await shop.v1.subscriptions.update_async(subscription, change | {"payment_behavior": behavior})


async def _replaces(shop: Shop, subscription: str, method: str) -> None:
    await shop.replace_method((await shop.subscription(subscription)).customer, method)


async def _pays(shop: Shop, subscription: str, method: str) -> None:
    invoice = await shop.latest_invoice(subscription)
    await shop.v1.invoices.pay_async(invoice.id, {"payment_method": method})


async def _ends(shop: Shop, subscription: str, how: Any) -> None:
    await shop.v1.subscriptions.update_async(subscription, {"cancel_at": how})


async def _cancels(shop: Shop, subscription: str, bills: bool) -> None:
    await shop.v1.subscriptions.cancel_async(subscription, {"prorate": bills, "invoice_now": bills})


async def _answers(shop: Shop, _: str, passed: bool) -> None:
    for intent in shop.account.objects.find("payment_intent")[:1]:
        await shop.box.control(f"authenticate/{intent['id']}", passed=passed)


async def _refunds(shop: Shop, _: str, amount: int) -> None:
    for charge in shop.account.objects.find("charge")[:1]:
        await shop.v1.refunds.create_async({"charge": charge["id"], "amount": amount})


async def _voids(shop: Shop, subscription: str, _: None) -> None:
    await shop.v1.invoices.void_invoice_async((await shop.subscription(subscription)).latest_invoice)


async def _plans(shop: Shop, subscription: str, key: str) -> None:
    schedule = await shop.v1.subscription_schedules.create_async({"from_subscription": subscription})
    current = schedule.to_dict()["phases"][0]
    first = {"items": [{"price": current["items"][0]["price"]}]}
    first |= {name: current[name] for name in ("start_date", "end_date")}
    phases = [first, {"items": [{"price": shop.prices[key]}]}]
    await shop.v1.subscription_schedules.update_async(schedule.id, {"phases": phases})


PRORATIONS = ["always_invoice", "create_prorations", "none"]
BEHAVIORS = ["allow_incomplete", "pending_if_incomplete", "error_if_incomplete"]
DEEDS: list[tuple[Deed, st.SearchStrategy[Any]]] = [
    (_passes, st.integers(1, 40 * 24)),
    (_passes, st.integers(1, 40 * 24)),
    (_changes, st.tuples(st.sampled_from(list(OPTIONS)), st.sampled_from(PRORATIONS), st.sampled_from(BEHAVIORS))),
    (_replaces, st.sampled_from(METHODS)),
    (_pays, st.sampled_from(METHODS)),
    (_ends, st.sampled_from(["min_period_end", ""])),
    (_answers, st.booleans()),
    (_refunds, st.integers(1, 600)),
    (_voids, st.none()),
    (_plans, st.sampled_from(list(OPTIONS))),
]
STEPS = st.lists(st.one_of([st.tuples(st.just(deed), how) for deed, how in DEEDS]), max_size=14)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(METHODS),
    st.sampled_from(["plus_month", "family_year"]),
    STEPS,
    st.booleans(),
    st.sampled_from(["canceled", "unpaid", "past_due"]),
    st.lists(st.booleans(), max_size=1),
)
async def test_the_books_are_right_whatever_happens(
    method: str, key: str, steps: list[tuple[Deed, Any]], is_taxed: bool, after: str, cancels: list[bool]
) -> None:
    async with opened(StripeServer(ADDRESS, httpx.MockTransport(lambda _: httpx.Response(200)))) as box:
        box.account.clock.freeze()
        shop = await shops.opened(box)
        customer = await shop.customer(method)
        subscription = await shop.subscribe(customer, key, automatic_tax={"enabled": is_taxed})
        await shop.box.control("settings", after_retries=after)
        for deed, how in [*steps, *((_cancels, bills) for bills in cancels)]:
            try:
                await deed(shop, subscription.id, how)
            except (stripe.CardError, stripe.InvalidRequestError, httpx.HTTPStatusError):
                continue  # refused: what the books say of that is looked at below
        await shop.box.passes(3 * DAY)
        check(shop, shop.account.objects.get("subscription", subscription.id))


def check(shop: Shop, subscription: Document) -> None:
    """Shapes, sums, states and periods."""
    shop.sums()
    assert [each for document in shop.account.objects for each in problems(public(document))] == []
    for invoice in shop.account.objects.find("invoice"):
        _check_invoice(shop, invoice)
    _check_periods(shop)
    is_over = subscription["status"] in ("canceled", "incomplete_expired")
    assert (subscription["ended_at"] is not None) == is_over
    assert shop.account.clock.is_waiting(f"subscription:{subscription['id']}") == (not is_over)


def _check_invoice(shop: Shop, invoice: Document) -> None:
    """What it adds up to is what was charged for it, once."""
    reduced = sum(each["amount"] for each in invoice["total_discount_amounts"])
    on_top = sum(each["amount"] for each in invoice["total_taxes"] if each["tax_behavior"] == "exclusive")
    assert invoice["total"] == invoice["subtotal"] - reduced + on_top
    assert invoice["subtotal"] == sum(line["amount"] for line in invoice["lines"]["data"])
    payment = shop.account.objects.maybe(invoice.get("_payment"))
    intent = payment and payment["payment"]["payment_intent"]
    charges = shop.account.objects.find("charge", lambda each: each["paid"] and each["payment_intent"] == intent)
    assert len(charges) <= 1
    assert sum(each["amount"] for each in charges) == invoice["amount_paid"]
    assert invoice["status"] == "paid" or not charges


def _check_periods(shop: Shop) -> None:
    """No item is billed twice for the same time, but for the rest of a period that is given back."""
    found: dict[str, list[tuple[int, int]]] = {}
    for invoice in reversed(shop.account.objects.find("invoice", lambda each: each["billing_reason"] != "upcoming")):
        for line in invoice["lines"]["data"]:
            details = line["parent"]["subscription_item_details"]
            if not details["proration"] and invoice["billing_reason"] == "subscription_cycle":
                found.setdefault(details["subscription_item"], []).append(
                    (line["period"]["start"], line["period"]["end"])
                )
    for periods in found.values():
        assert all(before[1] <= after[0] for before, after in pairwise(periods))
