"""Payment intents: one per invoice, tried with one payment method after the other until it succeeds or is canceled.

requires_payment_method -> requires_action | processing | succeeded; a decline goes back to requires_payment_method.
"""

from typing import Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import charges
from infra.local.emulators.stripe_server.billing.blank import made
from infra.local.emulators.stripe_server.billing.outcomes import Decline, Outcome, outcome_of
from infra.local.emulators.stripe_server.documents import public
from infra.local.emulators.stripe_server.errors import StripeError, invalid
from infra.local.emulators.stripe_server.objects import Document

SETTLES_AFTER: Final = 5 * 86_400
"""A bank debit is known to have worked, or not, so many seconds later."""


def create(
    account: Account, customer: str, amount: int, currency: str, description: str, return_url: str | None
) -> Document:
    """An intent that waits for a payment method. `return_url`: where the bank's page leads back to."""
    intent = made(
        account,
        "payment_intent",
        "pi",
        amount=amount,
        amount_capturable=0,
        amount_received=0,
        automatic_payment_methods=None,
        capture_method="automatic",
        confirmation_method="automatic",
        currency=currency,
        customer=customer,
        description=description,
        payment_method_options={"card": {"request_three_d_secure": "automatic"}},
        payment_method_types=["card"] if currency != "eur" else ["card", "sepa_debit"],
        setup_future_usage="off_session",
        status="requires_payment_method",
        _return_url=return_url,
    )
    intent["client_secret"] = f"{intent['id']}_secret_{account.new_id('s')[2:]}"
    account.emit("payment_intent.created", intent)
    return intent


def attempt(account: Account, intent: Document, method: Document) -> None:
    """Try to take the money. The intent's status says what happened; a decline is its `last_payment_error`."""
    intent |= {"payment_method": method["id"], "last_payment_error": None, "next_action": None}
    outcome = outcome_of(method, intent["currency"])
    if outcome.needs_action:
        _require_action(account, intent)
    else:
        _confirmed(account, intent, method, outcome)


def authenticate(account: Account, intent: Document, *, passed: bool) -> None:
    """The customer has answered the bank's question. Raises `StripeError` for an intent that asks none."""
    if intent["status"] != "requires_action":
        raise invalid(f"This PaymentIntent's status is {intent['status']}, so there is nothing to authenticate.")
    method = account.objects.get("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if not passed:
        _decline(account, intent, method, Decline.unauthenticated())
        return
    intent["_is_authenticated"] = True
    method["_is_set_up"] = True
    _confirmed(account, intent, method, outcome_of(method, intent["currency"], is_authenticated=True))


def settle(account: Account, intent: Document) -> None:
    """What the bank says of a debit, days later."""
    method = account.objects.get("payment_method", intent["payment_method"])
    charge = account.objects.get("charge", intent["latest_charge"])
    decline = outcome_of(method, intent["currency"]).decline
    charges.settle(account, charge, decline)
    if decline is None:
        _succeed(account, intent, charge)
    else:
        _fail(account, intent, method, charge, decline)


def cancel(account: Account, intent: Document, reason: str) -> None:
    """It is not wanted any more; one that is over stays as it is."""
    if intent["status"] in ("succeeded", "canceled", "processing"):
        return
    intent |= {"status": "canceled", "canceled_at": account.now(), "cancellation_reason": reason, "next_action": None}
    account.emit("payment_intent.canceled", intent)


def refusal(intent: Document) -> StripeError:
    """The error of a request that wanted this intent paid at once."""
    more = {"payment_intent": public(intent)}
    if intent["status"] == "requires_action":
        text = "This payment requires additional user action before it can be completed successfully."
        return StripeError(402, "card_error", "invoice_payment_intent_requires_action", text, None, None, more)
    error = intent["last_payment_error"]
    more |= {name: error[name] for name in ("charge", "payment_method") if error.get(name)}
    return StripeError(402, "card_error", error["code"], error["message"], None, error["decline_code"], more)


def require_success(outcome: Outcome) -> None:
    """Raises `StripeError` 402 for a payment that would not succeed at once; nothing is stored of it."""
    if outcome.needs_action:
        text = "This payment requires additional user action before it can be completed successfully."
        raise StripeError(402, "card_error", "subscription_payment_intent_requires_action", text)
    if decline := outcome.decline:
        raise StripeError(402, "card_error", decline.code, decline.message, None, decline.decline_code)


def _confirmed(account: Account, intent: Document, method: Document, outcome: Outcome) -> None:
    if charges.is_delayed(method) and not outcome.is_impossible:
        charge = charges.pending(account, intent, method)
        intent |= {"status": "processing", "latest_charge": charge["id"]}
        account.emit("payment_intent.processing", intent)
    elif outcome.decline is None:
        _succeed(account, intent, charges.succeeded(account, intent, method))
    else:
        _decline(account, intent, method, outcome.decline)


def _require_action(account: Account, intent: Document) -> None:
    where = {"return_url": intent["_return_url"], "url": f"{account.origin}/authenticate/{intent['id']}"}
    intent |= {"status": "requires_action", "next_action": {"type": "redirect_to_url", "redirect_to_url": where}}
    account.emit("payment_intent.requires_action", intent)


def _succeed(account: Account, intent: Document, charge: Document) -> None:
    intent |= {"status": "succeeded", "latest_charge": charge["id"], "amount_received": intent["amount"]}
    account.emit("payment_intent.succeeded", intent)


def _decline(account: Account, intent: Document, method: Document, decline: Decline) -> None:
    _fail(account, intent, method, charges.failed(account, intent, method, decline), decline)


def _fail(account: Account, intent: Document, method: Document, charge: Document, decline: Decline) -> None:
    error = {"charge": charge["id"], "code": decline.code, "decline_code": decline.decline_code}
    error |= {"message": decline.message, "payment_method": public(method), "payment_method_type": method["type"]}
    intent |= {"status": "requires_payment_method", "latest_charge": charge["id"], "payment_method": None}
    intent["last_payment_error"] = error | {"type": "card_error"}
    account.emit("payment_intent.payment_failed", intent)
