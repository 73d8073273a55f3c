"""Stripe's documents (`StripeObject.to_dict()`) → our records: pure, and the only place that knows their fields.

Fields are those of the pinned version: period ends on items only, an invoice's payments as a list, its subscription
below `parent` (billing.md §5.1). A field that is required there is read with `[]`: a version that moved it fails loudly
instead of reading nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from domain.billing.currency import agrees, of_stripe
from domain.money import Money, total
from integrations.payments import records

Document = Mapping[str, Any]


def instant(seconds: int) -> datetime:
    """Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def optional_instant(seconds: int | None) -> datetime | None:
    """As `instant`; None stays None."""
    return None if seconds is None else instant(seconds)


def reference(value: str | Document | None) -> str | None:
    """The id of an object that may have been expanded."""
    return value if value is None or isinstance(value, str) else str(value["id"])


def price(document: Document) -> records.Price:
    """A recurring price, with its product's metadata and its other currencies where they were expanded. It has no
    amount in a currency that we take no money in."""
    product, currency = document["product"], document["currency"]
    recurring = document.get("recurring") or {}
    return records.Price(
        id=document["id"],
        lookup_key=document.get("lookup_key"),
        metadata=document.get("metadata") or {},
        interval=recurring.get("interval", ""),
        amount=_optional_money(document.get("unit_amount"), currency),
        is_active=document.get("active", True),
        product_metadata={} if isinstance(product, str) else product.get("metadata") or {},
        options=tuple(_options(document.get("currency_options") or {})),
    )


def subscription(document: Document) -> records.Subscription:
    """With its latest invoice, where that was expanded."""
    items = document["items"]["data"]
    latest = document["latest_invoice"]
    pending = document.get("pending_update")
    ends = [item["current_period_end"] for item in items]
    return records.Subscription(
        id=document["id"],
        customer_id=str(reference(document["customer"])),
        account_id=(document.get("metadata") or {}).get("account_id"),
        status=document["status"],
        created=instant(document["created"]),
        currency=document["currency"].upper(),
        item_id=items[0]["id"] if items else None,
        price=price(items[0]["price"]) if items else None,
        period_end=optional_instant(min(ends, default=None)),
        trial_end=optional_instant(document.get("trial_end")),
        cancel_at=_cancel_at(document, min(ends, default=None)),
        pending_expires_at=optional_instant(pending["expires_at"]) if pending else None,
        schedule_id=reference(document.get("schedule")),
        default_payment_method_id=reference(document.get("default_payment_method")),
        latest_invoice=None if latest is None or isinstance(latest, str) else invoice(latest),
        latest_invoice_id=reference(latest),
        now=_clock(document.get("test_clock")),
    )


def invoice(document: Document) -> records.Invoice:
    """With its payments, where they were expanded."""
    currency, payments = document["currency"], document.get("payments")
    return records.Invoice(
        id=document["id"],
        customer_id=reference(document.get("customer")),
        number=document.get("number"),
        status=document["status"],
        subscription_id=_subscription_of(document),
        total=of_stripe(document["total"], currency),
        amount_due=of_stripe(document["amount_due"], currency),
        tax=_tax(document),
        attempt_count=document["attempt_count"],
        is_retried=document.get("next_payment_attempt") is not None,
        hosted_url=document.get("hosted_invoice_url"),
        paid_at=optional_instant(document["status_transitions"]["paid_at"]),
        created=instant(document["created"]),
        payments=None if payments is None else tuple(map(_invoice_payment, payments["data"])),
    )


def payment(document: Document) -> records.Payment:
    """A PaymentIntent; its charge where that was expanded."""
    error, charged = document.get("last_payment_error") or {}, document.get("latest_charge")
    return records.Payment(
        id=document["id"],
        status=document["status"],
        decline_code=error.get("decline_code") or error.get("code"),
        failed_method_id=reference(error.get("payment_method")),
        charge=None if charged is None or isinstance(charged, str) else charge(charged),
        charge_id=reference(charged),
    )


def charge(document: Document) -> records.Charge:
    """A charge, whatever came of it."""
    return records.Charge(
        id=document["id"],
        payment_intent_id=reference(document.get("payment_intent")),
        amount=of_stripe(document["amount"], document["currency"]),
        captured=of_stripe(document["amount_captured"], document["currency"]),
        is_paid=document["paid"],
        is_booked=document.get("balance_transaction") is not None,
        is_disputed=document["disputed"],
        is_taken_back=document.get("failure_balance_transaction") is not None,
        created=instant(document["created"]),
    )


def refund(document: Document) -> records.Refund:
    """A refund, ours or the dashboard's."""
    return records.Refund(
        id=document["id"],
        charge_id=reference(document.get("charge")),
        payment_intent_id=reference(document.get("payment_intent")),
        amount=of_stripe(document["amount"], document["currency"]),
        status=document["status"],
        failure=document.get("failure_reason"),
        op_id=(document.get("metadata") or {}).get("op_id"),
        is_booked=document.get("balance_transaction") is not None,
        is_booked_back=document.get("failure_balance_transaction") is not None,
        created=instant(document["created"]),
    )


def dispute(document: Document) -> records.Dispute:
    """A dispute, and what it has done to the balance."""
    amount = of_stripe(document["amount"], document["currency"])
    moved = [_disputed(line, amount) for line in document["balance_transactions"]]
    return records.Dispute(
        id=document["id"],
        charge_id=str(reference(document["charge"])),
        status=document["status"],
        amount=amount,
        withdrawn=total((each for each in moved if each.amount < 0), amount.currency),
        reinstated=total((each for each in moved if each.amount > 0), amount.currency),
        created=instant(document["created"]),
    )


def movement(document: Document) -> records.Movement:
    """A balance transaction."""
    return records.Movement(
        id=document["id"],
        type=document["type"],
        source_id=reference(document.get("source")),
        amount=of_stripe(document["amount"], document["currency"]),
        is_converted=document.get("exchange_rate") is not None,
        created=instant(document["created"]),
    )


def event(document: Document) -> records.Event:
    """An event of the list of events, for routing."""
    about = document["data"]["object"]
    return records.Event(
        id=document["id"],
        type=document["type"],
        created=instant(document["created"]),
        api_version=document.get("api_version"),
        is_live=document["livemode"],
        object_id=about.get("id"),
        customer_id=customer_of(about),
    )


def customer_of(about: Document) -> str | None:
    """Whose an object is: its own id for a customer."""
    if about.get("object") == "customer":
        return about.get("id")
    return reference(about.get("customer"))


def customer(document: Document) -> records.Customer:
    """A customer, or what is left of one who was deleted."""
    settings = document.get("invoice_settings") or {}
    currency = document.get("currency")
    return records.Customer(
        id=document["id"],
        is_deleted=bool(document.get("deleted")),
        currency=currency.upper() if currency else None,
        default_payment_method_id=reference(settings.get("default_payment_method")),
    )


def payment_method(document: Document) -> records.PaymentMethod:
    """What can be charged."""
    return records.PaymentMethod(document["id"], document["type"], instant(document["created"]))


def checkout_session(document: Document) -> records.CheckoutSession:
    """A Checkout page."""
    return records.CheckoutSession(
        id=document["id"],
        status=document["status"],
        customer_id=reference(document.get("customer")),
        subscription_id=reference(document.get("subscription")),
        url=document.get("url"),
        expires_at=instant(document["expires_at"]),
    )


def preview(document: Document) -> records.Preview:
    """An invoice to come."""
    currency = document["currency"]
    return records.Preview(
        total=of_stripe(document["total"], currency),
        amount_due=of_stripe(document["amount_due"], currency),
        tax=_tax(document),
        lines=tuple(map(_preview_line, document["lines"]["data"])),
    )


def schedule(document: Document) -> records.Schedule:
    """A subscription schedule."""
    current = document["current_phase"]
    return records.Schedule(
        id=document["id"],
        status=document["status"],
        subscription_id=reference(document.get("subscription")),
        phases=tuple(map(_phase, document["phases"])),
        current_start=current["start_date"] if current else None,
    )


def _disputed(line: Document, amount: Money) -> Money:
    """What a line of the balance is in the currency that was paid in: the balance may be kept in another."""
    if line["currency"].upper() == amount.currency:
        return of_stripe(line["amount"], line["currency"])
    return amount if line["amount"] > 0 else -amount


def _clock(clock: str | Document | None) -> datetime | None:
    """The time of a test clock; while it is moved, where it is moved to: that is when its person hears of anything."""
    if clock is None or isinstance(clock, str):
        return None
    target = clock["status_details"].get("advancing")
    return instant(target["target_frozen_time"] if target else clock["frozen_time"])


def _cancel_at(document: Document, period_end: int | None) -> datetime | None:
    at = document.get("cancel_at")
    if at is None and document.get("cancel_at_period_end"):
        at = period_end
    return optional_instant(at)


def _subscription_of(document: Document) -> str | None:
    parent = document.get("parent") or {}
    details = parent.get("subscription_details") or {}
    return reference(details.get("subscription"))


def _invoice_payment(document: Document) -> records.InvoicePayment:
    return records.InvoicePayment(document["status"], reference(document["payment"].get("payment_intent")))


def _tax(document: Document) -> Money:
    currency = document["currency"]
    taxes = (of_stripe(tax["amount"], currency) for tax in document.get("total_taxes") or ())
    return total(taxes, currency.upper())


def _options(options: Mapping[str, Document]) -> Iterable[Money]:
    for currency, option in sorted(options.items()):
        amount = _optional_money(option.get("unit_amount"), currency)
        if amount is not None:
            yield amount


def _optional_money(amount: int | None, currency: str) -> Money | None:
    return of_stripe(amount, currency) if amount is not None and agrees(currency.upper()) else None


def _preview_line(document: Document) -> records.PreviewLine:
    parent = document.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return records.PreviewLine(
        description=document.get("description"),
        amount=of_stripe(document["amount"], document["currency"]),
        is_proration=bool(details.get("proration")),
        start=instant(document["period"]["start"]),
    )


def _phase(document: Document) -> records.Phase:
    items = document["items"]
    return records.Phase(
        start=document["start_date"],
        end=document.get("end_date"),
        price_id=reference(items[0]["price"]) if items else None,
    )
