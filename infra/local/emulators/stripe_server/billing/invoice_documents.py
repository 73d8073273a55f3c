"""Invoices as documents: from lines, discounts and the customer's tax to the numbers that are shown.

A preview and an invoice are made by the same function, `composed`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import taxes
from infra.local.emulators.stripe_server.billing.blank import shaped
from infra.local.emulators.stripe_server.billing.lines import Line, PricedLine, Reduction, Totals, priced
from infra.local.emulators.stripe_server.billing.periods import Period
from infra.local.emulators.stripe_server.lists import listed
from infra.local.emulators.stripe_server.objects import Document

_SELF: Final = {"type": "self"}
_LEAST: Final = {"eur": 50, "usd": 50, "gbp": 30, "chf": 50, "jpy": 50}
"""Less than this is not charged."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What an invoice is made of. `period` is the one that it closes; `reason` its `billing_reason`."""

    customer: Document
    subscription: Document
    lines: Sequence[Line]
    reductions: Sequence[Reduction]
    reason: str
    period: Period
    proration_date: int | None = None

    @property
    def currency(self) -> str:
        """All its amounts are in this one."""
        return str(self.subscription["currency"])

    @property
    def country(self) -> str | None:
        """Whose tax applies. None: no tax is computed."""
        if not self.subscription["automatic_tax"]["enabled"]:
            return None
        return (self.customer["address"] or {}).get("country") or None

    def totals(self) -> Totals:
        """Its numbers."""
        return priced(self.lines, self.reductions, taxes.percentage(self.country))


def composed(account: Account, draft: Draft, invoice_id: str) -> Document:
    """The invoice as a draft, not stored."""
    totals = draft.totals()
    return shaped(
        account,
        "invoice",
        invoice_id,
        **_about(account, draft),
        **_numbers(draft, totals),
        lines=listed(f"/v1/invoices/{invoice_id}/lines", _lines(account, draft, totals, invoice_id)),
    )


def _about(account: Account, draft: Draft) -> dict[str, Any]:
    customer, subscription = draft.customer, draft.subscription
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    details |= {"subscription_proration_date": draft.proration_date} if draft.proration_date else {}
    return {
        "account_country": account.settings.country,
        "account_name": "Petfolio",
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": _automatic_tax(draft),
        "billing_reason": draft.reason,
        "collection_method": "charge_automatically",
        "currency": draft.currency,
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "discounts": [each.discount for each in draft.reductions],
        "issuer": dict(_SELF),
        "parent": {"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": draft.period.end,
        "period_start": draft.period.start,
        "status": "draft",
        "test_clock": subscription.get("test_clock"),
        "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
    }


def _automatic_tax(draft: Draft) -> Document:
    enabled = draft.subscription["automatic_tax"]["enabled"]
    if not enabled:
        return dict.fromkeys(("disabled_reason", "liability", "provider", "status")) | {"enabled": False}
    status = "complete" if draft.country else "requires_location_inputs"
    return {"disabled_reason": None, "enabled": True, "liability": dict(_SELF), "provider": "stripe", "status": status}


def due_and_balance(total: int, balance: int, currency: str) -> tuple[int, int]:
    """What is to be paid, and the customer's balance afterwards (negative: credit).

    Credit is kept for the next invoice, and so is what is too little to be charged.
    """
    due = total + balance
    return (due, 0) if due >= _LEAST.get(currency, 1) else (0, due)


def _numbers(draft: Draft, totals: Totals) -> dict[str, Any]:
    balance, total = draft.customer["balance"], totals.total
    due, _ = due_and_balance(total, balance, draft.currency)
    excluding_tax = total - totals.tax
    return {
        "amount_due": due,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": due,
        "amount_shipping": 0,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": balance,
        "subtotal": totals.subtotal,
        "subtotal_excluding_tax": totals.subtotal - sum(_included(each) for each in totals.lines),
        "total": total,
        "total_discount_amounts": _discount_amounts(tuple(totals.reductions.items())),
        "total_excluding_tax": excluding_tax,
        "total_pretax_credit_amounts": _pretax_credits(tuple(totals.reductions.items())),
        "total_taxes": _total_taxes(draft, totals),
    }


def _included(each: PricedLine) -> int:
    return each.tax.amount if each.tax and each.tax.is_inclusive else 0


def _total_taxes(draft: Draft, totals: Totals) -> list[Document]:
    found = []
    for is_inclusive in (False, True):
        parts = [each.tax for each in totals.lines if each.tax and each.tax.is_inclusive == is_inclusive]
        if parts:
            found.append(
                _tax(
                    draft.country, sum(each.amount for each in parts), sum(each.taxable for each in parts), is_inclusive
                )
            )
    return found


def _tax(country: str | None, amount: int, taxable: int, is_inclusive: bool) -> Document:
    return {
        "amount": amount,
        "tax_behavior": "inclusive" if is_inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": taxes.rate_id(country or "")},
        "taxability_reason": "standard_rated",
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    }


def _lines(account: Account, draft: Draft, totals: Totals, invoice_id: str) -> list[Document]:
    return [_line(account, draft, each, invoice_id) for each in totals.lines]


def _line(account: Account, draft: Draft, priced_line: PricedLine, invoice_id: str) -> Document:
    line, tax = priced_line.line, priced_line.tax
    return shaped(
        account,
        "line_item",
        account.new_id("il"),
        amount=line.amount,
        currency=draft.currency,
        description=line.description,
        discount_amounts=_discount_amounts(priced_line.reductions),
        discountable=True,
        discounts=[],
        invoice=invoice_id,
        metadata=dict(draft.subscription["metadata"]),
        parent=_parent(draft.subscription["id"], line),
        period={"end": line.period.end, "start": line.period.start},
        pretax_credit_amounts=_pretax_credits(priced_line.reductions),
        pricing={
            "price_details": {"price": line.price, "product": line.product},
            "type": "price_details",
            "unit_amount_decimal": str(Decimal(line.unit_amount)),
        },
        quantity=line.quantity,
        quantity_decimal=str(line.quantity),
        subscription=draft.subscription["id"],
        subtotal=line.amount,
        taxes=[_tax(draft.country, tax.amount, tax.taxable, tax.is_inclusive)] if tax else [],
    )


def _parent(subscription: str, line: Line) -> Document:
    credited = None
    if line.credited:
        credited = {"invoice": line.credited[0], "invoice_line_items": list(line.credited[1])}
    details: Document = {"invoice_item": None, "proration": line.is_proration, "subscription": subscription}
    details |= {"proration_details": {"credited_items": credited}, "subscription_item": line.item}
    return {
        "invoice_item_details": None,
        "subscription_item_details": details,
        "type": "subscription_item_details",
    }


def _discount_amounts(reductions: Sequence[tuple[str, int]]) -> list[Document]:
    return [{"amount": amount, "discount": discount} for discount, amount in reductions]


def _pretax_credits(reductions: Sequence[tuple[str, int]]) -> list[Document]:
    return [{"amount": amount, "discount": discount, "type": "discount"} for discount, amount in reductions]
