"""How a subscription begins: its first periods, its first invoice, and the currency that its customer keeps.

The API and Checkout begin subscriptions through `begin`; nothing is stored before everything is checked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import collection, discounts, invoices, renewals, taxes
from infra.local.emulators.stripe_server.billing.invoice_documents import Draft
from infra.local.emulators.stripe_server.billing.lines import Line, Reduction, Totals, priced
from infra.local.emulators.stripe_server.billing.periods import Period, period_at
from infra.local.emulators.stripe_server.billing.prices import interval_of, price_of
from infra.local.emulators.stripe_server.billing.proration import debit, remaining
from infra.local.emulators.stripe_server.billing.subscription_documents import (
    line_of,
    new_item,
    new_subscription,
    period_of,
    set_items,
)
from infra.local.emulators.stripe_server.errors import invalid, missing_parameter
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.prices import unit_amount

_MOST_ITEMS = 20


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is to begin. `fields` go into the subscription as they are."""

    customer: Document
    items: Sequence[Document]
    currency: str | None = None
    discounts: Sequence[Document] = ()
    trial_end: int | None = None
    anchor: int | None = None
    prorates: bool = True
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def is_taxed(self) -> bool:
        """Whether tax is computed."""
        return bool(self.fields.get("automatic_tax", {}).get("enabled"))


@dataclass(frozen=True, slots=True)
class Checked:
    """A beginning that can be made: its items in their first periods, and what they cost."""

    beginning: Beginning
    currency: str
    items: list[Document]
    lines: list[Line]
    reductions: list[Reduction]
    totals: Totals


def checked(account: Account, beginning: Beginning) -> Checked:
    """Everything but the storing. Raises `StripeError` for what cannot begin."""
    if not 1 <= len(beginning.items) <= _MOST_ITEMS:
        raise invalid(f"A subscription must have 1 to {_MOST_ITEMS} items.", "items")
    for place, each in enumerate(beginning.items):
        if "price" not in each:
            raise missing_parameter(f"items[{place}][price]")
    prices = [price_of(account, each["price"]) for each in beginning.items]
    currency = (beginning.currency or beginning.customer["currency"] or prices[0]["currency"]).lower()
    _check_currency(beginning.customer, currency)
    for price in prices:
        unit_amount(price, currency)  # what is free at first has its currency already
    _check_times(account, beginning)
    pairs = zip(beginning.items, prices, strict=True)
    items = [_item(account, beginning, given, price) for given, price in pairs]
    lines = [_line(account, beginning, item, currency) for item in items]
    coupons = [discounts.check(account, each, currency) for each in beginning.discounts]
    country = (beginning.customer["address"] or {}).get("country")
    percent = taxes.percentage(country) if beginning.is_taxed else None
    reductions = [discounts.reduction(each, each["id"]) for each in coupons]
    return Checked(beginning, currency, items, lines, reductions, priced(lines, reductions, percent))


def begin(account: Account, ready: Checked) -> Document:
    """The subscription with its first invoice, which is finalized but not tried: `incomplete`, or `trialing`."""
    beginning = ready.beginning
    _fix_currency(account, beginning.customer, ready.currency)
    subscription = new_subscription(account, **_fields(account, ready))
    set_items(account, subscription, ready.items)
    redeemed = discounts.redeemed(account, beginning.discounts, beginning.customer["id"], ready.currency)
    subscription["discounts"] = redeemed
    invoice = invoices.create(account, _draft(account, subscription, ready))
    subscription["latest_invoice"] = invoice["id"]
    account.emit("customer.subscription.created", subscription)
    renewals.use_discounts(account, subscription)
    invoices.finalize(account, invoice)
    return subscription


def proceed(account: Account, subscription: Document, method: Document | None = None) -> None:
    """Try to pay the first invoice; from now on time works on the subscription."""
    collection.proceed(account, account.objects.get("invoice", subscription["latest_invoice"]), method)
    renewals.plan(account, subscription)


def check_address(customer: Document) -> None:
    """Tax needs to know where the customer is. Raises `StripeError`."""
    if not (customer["address"] or {}).get("country"):
        message = "The customer's location isn't recognized. Set a valid customer address to calculate tax."
        raise invalid(message, "automatic_tax[enabled]", "customer_tax_location_invalid")


def require_address(account: Account, subscription: Document) -> None:
    """Before something is billed at once: tax, where it is computed, has to know. Raises `StripeError`."""
    if subscription["automatic_tax"]["enabled"]:
        check_address(account.objects.get("customer", subscription["customer"]))


def _check_currency(customer: Document, currency: str) -> None:
    if customer["currency"] not in (None, currency):
        message = (
            "You cannot combine currencies on a single customer. This customer has an active subscription, "
            f"subscription schedule, discount, quote, or invoice item with currency {customer['currency']}."
        )
        raise invalid(message, "currency")


def _check_times(account: Account, beginning: Beginning) -> None:
    for name, instant in (("trial_end", beginning.trial_end), ("billing_cycle_anchor", beginning.anchor)):
        if instant is not None and instant <= account.now():
            raise invalid(f"Invalid {name}: it must lie in the future.", name)


def _item(account: Account, beginning: Beginning, given: Document, price: Document) -> Document:
    now = account.now()
    first = beginning.trial_end or beginning.anchor
    period = Period(now, first or interval_of(price).after(now, 1))
    item = new_item(account, price, given.get("quantity", 1), period)
    item["metadata"] = dict(given.get("metadata") or {})
    return item


def _line(account: Account, beginning: Beginning, item: Document, currency: str) -> Line:
    """The first line: a trial is free, and up to an anchor a part of the price is paid, or nothing."""
    period = period_of(item)
    line = line_of(account, item, currency, period, is_trial=beginning.trial_end is not None)
    if beginning.anchor is None or beginning.trial_end is not None:
        return line
    if not beginning.prorates:
        return replace(line, amount=0)
    whole = period_at(beginning.anchor, interval_of(item["price"]), period.start)
    return replace(line, amount=debit(line.amount, remaining(whole, period.start)), is_proration=True)


def _fields(account: Account, ready: Checked) -> dict[str, Any]:
    beginning, now = ready.beginning, account.now()
    trial = beginning.trial_end
    return {
        **beginning.fields,
        "billing_cycle_anchor": trial or beginning.anchor or now,
        "currency": ready.currency,
        "customer": beginning.customer["id"],
        "status": "trialing" if trial else "incomplete",
        "test_clock": beginning.customer["test_clock"],
        "trial_end": trial,
        "trial_start": now if trial else None,
        "_expires": now + renewals.FIRST_PAYMENT_WITHIN,
    }


def _draft(account: Account, subscription: Document, ready: Checked) -> Draft:
    now = account.now()
    return renewals.draft_of(account, subscription, ready.lines, "subscription_create", Period(now, now))


def _fix_currency(account: Account, customer: Document, currency: str) -> None:
    with account.changing(customer, "customer.updated"):
        customer["currency"] = currency
