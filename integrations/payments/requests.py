"""The parameters of what is written at Stripe, as plain documents: they are stored with the operation before the call,
so they are the same whenever it is repeated. No instant of now is made here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

METHODS: Final = ("card", "link", "paypal", "sepa_debit", "us_bank_account", "bacs_debit")
"""What can be paid with, where the currency and the account allow it."""

Params = Mapping[str, Any]


def customer(account_id: UUID, locale: str) -> Params:
    """An account's customer. Nothing of a person but their language: the Checkout page asks for the rest."""
    return {"metadata": {"account_id": str(account_id)}, "preferred_locales": [locale]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A visit to the Checkout page. `success_url` may hold `{CHECKOUT_SESSION_ID}`."""

    intent_id: UUID
    account_id: UUID
    customer_id: str
    price_id: str
    currency: str
    locale: str
    success_url: str
    cancel_url: str


def checkout(visit: Visit) -> Params:
    """A page on which an account subscribes: taxed where tax is due, discounted where somebody has a code."""
    account = str(visit.account_id)
    return {
        "mode": "subscription",
        "customer": visit.customer_id,
        "client_reference_id": account,
        "line_items": [{"price": visit.price_id, "quantity": 1}],
        "currency": visit.currency.lower(),
        "success_url": visit.success_url,
        "cancel_url": visit.cancel_url,
        "locale": visit.locale,
        "allow_promotion_codes": True,
        "allowed_payment_method_types": methods(visit.currency),
        "automatic_tax": {"enabled": True},
        "billing_address_collection": "auto",
        "customer_update": {"address": "auto", "name": "auto"},
        "subscription_data": {
            "metadata": {"account_id": account, "op_id": str(visit.intent_id)},
            "billing_mode": {"type": "flexible"},
        },
        "metadata": {"account_id": account, "op_id": str(visit.intent_id)},
    }


def methods(currency: str) -> list[str]:
    """What a currency can be paid with: a bank debit is one country's."""
    only = {"sepa_debit": "EUR", "us_bank_account": "USD", "bacs_debit": "GBP"}
    return [method for method in METHODS if only.get(method, currency) == currency]


def portal(customer_id: str, return_url: str, locale: str) -> Params:
    """The page on which one's subscription is managed."""
    return {"customer": customer_id, "return_url": return_url, "locale": locale}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Another price for a subscription, as of `proration_date`: that of the preview is that of the change. None: as of
    the moment when Stripe is asked."""

    subscription_id: str
    item_id: str
    price_id: str
    proration_date: int | None


def preview(customer_id: str, change: Change) -> Params:
    """The invoice that the change would cause at once."""
    return {
        "customer": customer_id,
        "subscription": change.subscription_id,
        "subscription_details": {
            "items": [{"id": change.item_id, "price": change.price_id}],
            "proration_behavior": "always_invoice",
            **_as_of(change),
        },
    }


def upgrade(change: Change, op_id: UUID) -> Params:
    """Change now and charge now; while the payment fails, the plan stays as it was."""
    return {
        "items": [{"id": change.item_id, "price": change.price_id}],
        "proration_behavior": "always_invoice",
        **_as_of(change),
        "payment_behavior": "pending_if_incomplete",
        "metadata": {"op_id": str(op_id)},
    }


def _as_of(change: Change) -> Params:
    return {} if change.proration_date is None else {"proration_date": change.proration_date}


def schedule(subscription_id: str) -> Params:
    """A schedule that begins with the subscription as it is."""
    return {"from_subscription": subscription_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The price that a subscription has, until when it was paid for (`start`, `end`: Unix seconds), and the one after
    that, with its interval."""

    start: int
    end: int
    price_id: str
    next_price_id: str
    next_interval: str


def downgrade(step: Step, op_id: UUID) -> Params:
    """The phases of that schedule: as it is until the period ends, then the other price, then left to itself."""
    following = {
        "items": [{"price": step.next_price_id, "quantity": 1}],
        "start_date": step.end,
        "duration": {"interval": step.next_interval},
        "proration_behavior": "none",
    }
    current = {"items": [{"price": step.price_id, "quantity": 1}], "start_date": step.start, "end_date": step.end}
    return {
        "end_behavior": "release",
        "proration_behavior": "none",
        "phases": [current, following],
        "metadata": {"op_id": str(op_id)},
    }


def cancel_at_period_end(op_id: UUID) -> Params:
    """End it when what was paid for ends."""
    return {"cancel_at": "min_period_end", "metadata": {"op_id": str(op_id)}}


def resume(op_id: UUID) -> Params:
    """Take a scheduled cancel back, whichever way it was scheduled."""
    return {"cancel_at": "", "cancel_at_period_end": False, "metadata": {"op_id": str(op_id)}}


def refund(payment_intent_id: str, amount: int, op_id: UUID) -> Params:
    """Pay back. `op_id` is how the refund is found again when the key is too old."""
    return {"payment_intent": payment_intent_id, "amount": amount, "metadata": {"op_id": str(op_id)}}
