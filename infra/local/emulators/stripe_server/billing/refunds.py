"""Refunds: never more than was taken, at once or days later, and sometimes back again.

A refund counts against the charge from the moment it is made; one that fails gives its amount back to the charge.
"""

from typing import Any, Final, Literal

from infra.local.emulators.stripe_server import cards
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.balance import move
from infra.local.emulators.stripe_server.billing.blank import made
from infra.local.emulators.stripe_server.billing.charges import is_delayed
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import StripeError, invalid, missing_parameter
from infra.local.emulators.stripe_server.lists import listed, page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_KIND: Final = "refund"
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")
_SETTLES_AFTER: Final = 3 * 86_400
_OPEN: Final = ("pending", "requires_action")


@operation(
    *("POST", "/v1/refunds"),
    exclusive=(("charge", "payment_intent"),),
    takes=("charge", "payment_intent", "amount", "reason", "metadata", "instructions_email"),
)
def create(call: Call) -> Document:
    """Give back a charge, or a part of it. Raises `StripeError` for more than is left of it, and for a disputed one."""
    account, given = call.account, call.params
    charge = _charge(account, given)
    amount = given.get("amount", charge["amount"] - charge["amount_refunded"])
    check(account, charge, amount)
    return refund(account, charge, amount, given)


@operation("GET", "/v1/refunds/{refund}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get(_KIND, call.id)


@operation("POST", "/v1/refunds/{refund}", takes=("metadata",))
def change(call: Call) -> Document:
    """Its metadata."""
    found = call.account.objects.get(_KIND, call.id)
    with call.account.changing(found, "refund.updated"):
        update(found, call.params)
    return found


@operation("POST", "/v1/refunds/{refund}/cancel")
def cancel(call: Call) -> Document:
    """Only one that waits for the customer can be."""
    found = call.account.objects.get(_KIND, call.id)
    if found["status"] != "requires_action":
        raise invalid("You can only cancel a refund in the `requires_action` status.")
    settle(call.account, found, "canceled")
    return found


@operation("GET", "/v1/refunds", takes=("charge", "payment_intent", *_PAGED))
def index(call: Call) -> Document:
    """Newest first."""
    fields = {name: call.params[name] for name in ("charge", "payment_intent") if name in call.params}
    found = call.account.objects.find(_KIND, lambda each: all(each[name] == fields[name] for name in fields))
    return page(call, found)


def refund(account: Account, charge: Document, amount: int, given: dict[str, Any]) -> Document:
    """A checked refund: how it goes on is its method's business."""
    method = account.objects.get("payment_method", charge["payment_method"])
    fate = cards.behaviour(method).refunds
    waits = fate == "pend" or is_delayed(method)
    made_refund = made(
        account,
        _KIND,
        "re" if charge["id"].startswith("ch_") else "pyr",
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        destination_details=_destination(method),
        instructions_email=given.get("instructions_email"),
        metadata=dict(given.get("metadata") or {}),
        payment_intent=charge["payment_intent"],
        pending_reason="processing" if waits else None,
        reason=given.get("reason"),
        status="pending" if waits else "succeeded",
    )
    _count(account, charge, made_refund)
    if waits or fate == "fail_later":
        end: Literal["succeeded", "failed"] = "failed" if fate == "fail_later" else "succeeded"
        due = account.now() + _SETTLES_AFTER
        account.clock.at(due, lambda: _settle_if_open(account, made_refund, end), name=f"refund:{made_refund['id']}")
    return made_refund


def check(account: Account, charge: Document, amount: int) -> None:
    """Raises `StripeError` for an amount that cannot be given back. A payment whose dispute was won can be."""
    left = charge["amount"] - charge["amount_refunded"]
    if account.objects.find("dispute", lambda each: each["charge"] == charge["id"] and each["status"] != "won"):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeError(400, "invalid_request_error", "charge_disputed", message)
    if not charge["paid"]:
        raise invalid(f"Charge {charge['id']} has not been paid; cannot issue a refund.", code="charge_not_refundable")
    if left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount <= 0:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise invalid(message, "amount")


def settle(
    account: Account, found: Document, end: Literal["succeeded", "failed", "canceled", "requires_action"]
) -> None:
    """How it ended, or that the customer has to say where the money is to go. One that has succeeded can still fail.

    Raises `StripeError` for any other change of one that has ended.
    """
    if found["status"] not in _OPEN and (found["status"], end) != ("succeeded", "failed"):
        raise invalid(f"This refund has {found['status']} already.")
    account.clock.cancel(f"refund:{found['id']}")
    with account.changing(found, "refund.updated"):
        found |= {"status": end, "pending_reason": None, "next_action": None}
        if end == "requires_action":
            found["next_action"] = _ask_customer(account, found)
        if end == "failed":
            found["failure_reason"] = "lost_or_stolen_card"
        if end in ("failed", "canceled"):
            _give_back(account, found)
    if end == "failed":
        account.emit("refund.failed", found)


def refunds_of(account: Account, charge: Document) -> Document:
    """The field `refunds` of a charge, which is shown on demand alone."""
    found = account.objects.find(_KIND, lambda each: each["charge"] == charge["id"])
    return listed(f"/v1/charges/{charge['id']}/refunds", found)


def _settle_if_open(account: Account, found: Document, end: Literal["succeeded", "failed"]) -> None:
    if found["status"] in _OPEN or end == "failed":
        settle(account, found, end)


def _charge(account: Account, given: dict[str, Any]) -> Document:
    """What is to be given back. Raises `StripeError` without it."""
    if "charge" in given:
        return account.objects.get("charge", given["charge"], "charge")
    if "payment_intent" not in given:
        raise missing_parameter("charge")
    intent = account.objects.get("payment_intent", given["payment_intent"], "payment_intent")
    if intent["latest_charge"] is None:
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise invalid(message, "payment_intent", "payment_intent_unexpected_state")
    return account.objects.get("charge", intent["latest_charge"])


def _count(account: Account, charge: Document, found: Document) -> None:
    """The money leaves the balance now, and the charge shows it."""
    kind = "refund" if charge["id"].startswith("ch_") else "payment_refund"
    moved = move(account, kind, -found["amount"], found["currency"], found["id"])
    found["balance_transaction"] = moved["id"]
    charge["amount_refunded"] += found["amount"]
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    account.emit("refund.created", found)
    account.emit("charge.refunded", charge)


def _give_back(account: Account, found: Document) -> None:
    moved = move(account, "refund_failure", found["amount"], found["currency"], found["id"])
    found["failure_balance_transaction"] = moved["id"]
    charge = account.objects.get("charge", found["charge"])
    with account.changing(charge, "charge.updated"):
        charge["amount_refunded"] -= found["amount"]
        charge["refunded"] = False


def _destination(method: Document) -> Document | None:
    if method["type"] != "card":
        return None
    card = {"reference": None, "reference_status": "pending", "reference_type": "acquirer_reference_number"}
    return {"card": card | {"type": "refund"}, "type": "card"}


def _ask_customer(account: Account, found: Document) -> Document:
    now, email = account.now(), found["instructions_email"] or ""
    sent = {"email_sent_at": now, "email_sent_to": email}
    return {"display_details": {"email_sent": sent, "expires_at": now + 45 * 86_400}, "type": "display_details"}
