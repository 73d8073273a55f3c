"""Disputes: the bank takes a payment back, and gives it back once more where the account wins."""

from typing import Any, Final

import stripe

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.balance import DISPUTE_FEE, move
from infra.local.emulators.stripe_server.billing.blank import made, part
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.objects import Document

_ANSWER_WITHIN: Final = 7 * 86_400
_OVER: Final = ("won", "lost")


def open_dispute(account: Account, charge: Document, reason: str = "fraudulent") -> Document:
    """The customer has told their bank that the charge is wrong. Raises `StripeError` where there is one already."""
    if charge["disputed"] or not charge["paid"]:
        raise invalid(f"Charge {charge['id']} cannot be disputed.", "charge")
    amount, currency = charge["amount"] - charge["amount_refunded"], charge["currency"]
    dispute = made(
        account,
        "dispute",
        "dp",
        amount=amount,
        balance_transactions=[],
        charge=charge["id"],
        currency=currency,
        enhanced_eligibility_types=[],
        evidence=part(stripe.Dispute.Evidence, enhanced_evidence={}),
        evidence_details=_evidence_details(account),
        is_charge_refundable=False,
        payment_intent=charge["payment_intent"],
        payment_method_details=_method(charge),
        reason=reason,
        status="needs_response",
    )
    with account.changing(charge, "charge.updated"):
        charge["disputed"] = True
    account.emit("charge.dispute.created", dispute)
    _move(account, dispute, -amount, DISPUTE_FEE)
    account.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def answer(account: Account, dispute: Document) -> None:
    """The account has sent its evidence: the bank looks at it."""
    _check_open(dispute)
    with account.changing(dispute, "charge.dispute.updated"):
        dispute["status"] = "under_review"
        dispute["evidence_details"] |= {"has_evidence": True, "submission_count": 1, "submission_method": "manual"}


def win(account: Account, dispute: Document) -> None:
    """The bank gives the money back; the fee stays paid."""
    _check_open(dispute)
    with account.changing(dispute, "charge.dispute.updated"):
        dispute["status"] = "won"
    _move(account, dispute, dispute["amount"], 0)
    account.emit("charge.dispute.funds_reinstated", dispute)
    account.emit("charge.dispute.closed", dispute)


def lose(account: Account, dispute: Document) -> None:
    """The customer keeps the money."""
    _check_open(dispute)
    with account.changing(dispute, "charge.dispute.updated"):
        dispute["status"] = "lost"
    account.emit("charge.dispute.closed", dispute)


def _check_open(dispute: Document) -> None:
    if dispute["status"] in _OVER:
        raise invalid(f"This dispute is already closed: {dispute['status']}.")


def _move(account: Account, dispute: Document, amount: int, fee: int) -> None:
    category = "dispute" if amount < 0 else "dispute_reversal"
    currency, source = dispute["currency"], dispute["id"]
    dispute["balance_transactions"].append(
        move(account, "adjustment", amount, currency, source, fee=fee, category=category)
    )


def _evidence_details(account: Account) -> dict[str, Any]:
    return {
        "due_by": account.now() + _ANSWER_WITHIN,
        "enhanced_eligibility": {},
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
        "submission_method": "not_submitted",
    }


def _method(charge: Document) -> Document | None:
    if "card" not in charge["payment_method_details"]:
        return None
    brand = charge["payment_method_details"]["card"]["brand"]
    card = {"brand": brand, "case_type": "chargeback", "network": brand, "network_reason_code": "10.4"}
    return {"card": card, "type": "card"}
