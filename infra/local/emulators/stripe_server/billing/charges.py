"""Charges: one for each attempt to take money with a payment intent."""

from datetime import UTC, datetime
from typing import Final

from infra.local.emulators.stripe_server import cards
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.balance import move, processing_fee
from infra.local.emulators.stripe_server.billing.blank import made
from infra.local.emulators.stripe_server.billing.outcomes import Decline
from infra.local.emulators.stripe_server.objects import Document

_OF_CARD: Final = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
_OF_DEBIT: Final = ("bank_code", "branch_code", "country", "fingerprint", "last4")


def is_delayed(method: Document) -> bool:
    """Whether a payment with it is known to have worked only days later."""
    return cards.behaviour(method).is_delayed


def succeeded(account: Account, intent: Document, method: Document) -> Document:
    """Paid at once."""
    charge = _make(account, intent, method, "succeeded")
    _credit(account, charge)
    account.emit("charge.succeeded", charge)
    return charge


def pending(account: Account, intent: Document, method: Document) -> Document:
    """Sent to the bank, and in the balance from now on; `settle` tells how it ended."""
    charge = _make(account, intent, method, "pending")
    _credit(account, charge)
    account.emit("charge.pending", charge)
    return charge


def failed(account: Account, intent: Document, method: Document, decline: Decline) -> Document:
    """Refused at once."""
    charge = _make(account, intent, method, "failed")
    _refuse(charge, decline)
    account.emit("charge.failed", charge)
    return charge


def settle(account: Account, charge: Document, decline: Decline | None) -> None:
    """How a pending charge ended: paid, or refused by the bank."""
    if decline is None:
        charge["status"], charge["paid"] = "succeeded", True
        charge["amount_captured"] = charge["amount"]
        account.emit("charge.succeeded", charge)
    else:
        _refuse(charge, decline)
        moved = move(account, "payment_failure_refund", -charge["amount"], charge["currency"], charge["id"])
        charge["failure_balance_transaction"] = moved["id"]
        account.emit("charge.failed", charge)


def _make(account: Account, intent: Document, method: Document, status: str) -> Document:
    is_paid = status == "succeeded"
    return made(
        account,
        "charge",
        "ch" if method["type"] == "card" else "py",
        amount=intent["amount"],
        amount_captured=intent["amount"] if is_paid else 0,
        amount_refunded=0,
        billing_details=method["billing_details"],
        captured=status != "failed",
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        fraud_details={},
        metadata=dict(intent["metadata"]),
        outcome=_outcome("authorized", "approved_by_network", None, "Payment complete.")
        if status != "failed"
        else None,
        paid=is_paid,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=_details(account, method, intent),
        refunded=False,
        status=status,
    )


def _credit(account: Account, charge: Document) -> None:
    kind = "charge" if charge["id"].startswith("ch_") else "payment"
    fee = processing_fee(charge["amount"])
    moved = move(account, kind, charge["amount"], charge["currency"], charge["id"], fee=fee)
    charge["balance_transaction"] = moved["id"]


def _refuse(charge: Document, decline: Decline) -> None:
    charge |= {"status": "failed", "paid": False, "captured": False}
    charge |= {"failure_code": decline.code, "failure_message": decline.message}
    charge["outcome"] = _outcome("issuer_declined", "declined_by_network", decline.decline_code, decline.message)


def _outcome(kind: str, network: str, reason: str | None, text: str) -> Document:
    risk = {"risk_level": "normal", "risk_score": 12, "rule": None}
    more = {"advice_code": None, "network_advice_code": None, "network_decline_code": None}
    return {"network_status": network, "reason": reason, "seller_message": text, "type": kind, **risk, **more}


def _details(account: Account, method: Document, intent: Document) -> Document:
    """What the charge keeps of its payment method."""
    kind = method["type"]
    kept = method.get(kind) or {}
    if kind == "card":
        secure = {"result": "authenticated", "version": "2.2.0"} if intent.get("_is_authenticated") else None
        return {"card": {name: kept.get(name) for name in _OF_CARD} | _network(secure, kept), "type": kind}
    if kind == "sepa_debit":
        debited = datetime.fromtimestamp(account.now(), UTC).date().isoformat()
        of_debit = {name: kept.get(name) for name in _OF_DEBIT} | {"expected_debit_date": debited}
        return {"sepa_debit": of_debit, "type": kind}
    return {kind: {}, "type": kind}


def _network(secure: Document | None, kept: Document) -> Document:
    return {"three_d_secure": secure, "network": kept.get("brand"), "wallet": None, "mandate": None}
