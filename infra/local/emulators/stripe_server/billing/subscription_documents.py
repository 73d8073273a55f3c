"""Subscriptions and their items as documents, and what can be read from them."""

from collections.abc import Sequence
from typing import Any

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.blank import made, shaped
from infra.local.emulators.stripe_server.billing.lines import Line
from infra.local.emulators.stripe_server.billing.periods import Period
from infra.local.emulators.stripe_server.billing.prices import interval_of, is_inclusive, plan_of
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.lists import listed
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.prices import unit_amount

LIVE = ("trialing", "active", "past_due", "unpaid")
"""Statuses in which periods go on."""
_SELF = {"account": None, "type": "self"}


def new_subscription(account: Account, **fields: Any) -> Document:
    """A stored subscription in flexible billing mode, with what the caller knows over the defaults."""
    flexible = {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": account.now()}
    defaults = {
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_mode": flexible,
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": dict.fromkeys(("comment", "feedback", "reason")),
        "collection_method": "charge_automatically",
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": dict(_SELF)},
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "start_date": account.now(),
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "_prorations": [],
    }
    return made(account, "subscription", "sub", **(defaults | fields))


def set_items(account: Account, subscription: Document, items: Sequence[Document]) -> None:
    """The items that it has from now on."""
    for item in items:
        item["subscription"] = subscription["id"]
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    subscription["items"] = listed(url, items)


def new_item(account: Account, price: Document, quantity: int, period: Period, subscription: str = "") -> Document:
    """An item with its first period. Raises `StripeError` for less than one of something."""
    if quantity < 1:
        raise invalid("Invalid positive integer", "items[0][quantity]", "parameter_invalid_integer")
    return shaped(
        account,
        "subscription_item",
        account.new_id("si"),
        current_period_end=period.end,
        current_period_start=period.start,
        discounts=[],
        plan=plan_of(account, price),
        price=price,
        quantity=quantity,
        subscription=subscription,
        tax_rates=[],
    )


def items_of(subscription: Document) -> list[Document]:
    """Its items."""
    items: list[Document] = subscription["items"]["data"]
    return items


def period_of(item: Document) -> Period:
    """The period that an item is in."""
    return Period(item["current_period_start"], item["current_period_end"])


def period_end(subscription: Document) -> int:
    """When its next item ends: `min_period_end`."""
    return min(period_of(item).end for item in items_of(subscription))


def line_of(account: Account, item: Document, currency: str, period: Period, *, is_trial: bool = False) -> Line:
    """What an item costs for one period; a trial's costs nothing."""
    price, quantity = item["price"], item["quantity"]
    product = account.objects.maybe(price["product"])
    name = product["name"] if product else price["product"]
    each = 0 if is_trial else unit_amount(price, currency, "items[0][price]")
    interval = interval_of(price)
    every = f"every {interval.count} {interval.unit}s" if interval.count > 1 else interval.unit
    text = f"Trial period for {name}" if is_trial else f"{quantity} × {name} (at {each} {currency} / {every})"
    return Line(
        amount=each * quantity,
        description=text,
        period=period,
        price=price["id"],
        product=price["product"],
        unit_amount=each,
        quantity=quantity,
        item=item["id"],
        is_inclusive=is_inclusive(price, currency),
    )
