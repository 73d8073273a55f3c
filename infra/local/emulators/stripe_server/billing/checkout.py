"""What a customer does on the Checkout page: pays, answers the bank, or leaves.

Paying begins the subscription: it stays `incomplete` while the bank asks something, and is paid with another method
after a decline. The session is complete once the payment is made, or on its way.
"""

from dataclasses import dataclass, replace
from typing import Any

from infra.local.emulators.stripe_server import payment_methods
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import beginnings, checkout_sessions, collection, invoices, renewals
from infra.local.emulators.stripe_server.billing.checkout_sessions import KIND
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.objects import Document


@dataclass(frozen=True, slots=True)
class Submission:
    """What was entered. `method` may be missing where nothing is to be paid now; a `code` is a promotion code."""

    method: Document | None
    country: str | None = None
    code: str | None = None


def submit(account: Account, session: Document, entered: Submission) -> None:
    """Pay. Raises `StripeError`: for a session that is over, a method that it does not take, and 402 for a decline."""
    _require_open(session)
    customer = account.objects.get("customer", session["customer"])
    if country := entered.country or _asked_country(account, session, customer):
        _note_address(account, session, customer, country)
    if entered.code:
        redeem(account, session, entered.code)
    method = _saved(account, session, customer, entered.method)
    subscription = _begun(account, session, method)
    invoice = account.objects.get("invoice", subscription["latest_invoice"])
    collection.proceed(account, invoice, method, is_retry=False)
    renewals.plan(account, subscription)
    _conclude(account, session, invoice)
    if session["status"] == "open" and waiting_intent(account, session) is None:
        raise collection.refusal(account, invoice)


def redeem(account: Account, session: Document, code: str) -> None:
    """A promotion code was typed. Raises `StripeError` for one that is not known, or not wanted here."""
    _require_open(session)
    if not session["allow_promotion_codes"]:
        raise invalid("This session takes no promotion codes.", "promotion_code")
    wanted = code.strip().lower()
    found = account.objects.find("promotion_code", lambda each: each["active"] and each["code"].lower() == wanted)
    if not found:
        raise invalid(f"This code is invalid: {code}", "promotion_code")
    if session["_subscription"] is None:
        beginning = replace(session["_beginning"], discounts=({"promotion_code": found[0]["id"]},))
        checkout_sessions.reprice(account, session, beginning)


def authenticated(account: Account, intent: Document, *, passed: bool) -> None:
    """The customer has answered the bank's question about the payment of an invoice, in a session or later."""
    payment = account.objects.find("invoice_payment", lambda each: each["payment"]["payment_intent"] == intent["id"])
    invoice = account.objects.get("invoice", payment[0]["invoice"])
    collection.authenticate(account, invoice, passed=passed)
    of = invoice["parent"]["subscription_details"]["subscription"]
    for session in account.objects.find(KIND, lambda each: each["_subscription"] == of and each["status"] == "open"):
        _conclude(account, session, invoice)


def waiting_intent(account: Account, session: Document) -> Document | None:
    """The payment of a session about which the bank asks something."""
    subscription = account.objects.maybe(session["_subscription"])
    if subscription is None or subscription["status"] != "incomplete":
        return None
    intent = invoices.intent_of(account, account.objects.get("invoice", subscription["latest_invoice"]))
    return intent if intent["status"] == "requires_action" else None


def destination(session: Document) -> str:
    """Where the customer goes afterwards."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _require_open(session: Document) -> None:
    if session["status"] != "open":
        raise invalid(f"This Checkout Session is {session['status']}.", code="checkout_session_not_open")


def _asked_country(account: Account, session: Document, customer: Document) -> str | None:
    """Where tax is computed the page does not go on without a country; it suggests the shop's own."""
    if not session["automatic_tax"]["enabled"] or (customer["address"] or {}).get("country"):
        return None
    return account.settings.country


def _note_address(account: Account, session: Document, customer: Document, country: str) -> None:
    """The page asks for the country; the customer keeps it where the session says so, or has none."""
    if not session["_saves_address"] and customer["address"]:
        return
    nothing = dict.fromkeys(("city", "line1", "line2", "postal_code", "state"))
    with account.changing(customer, "customer.updated"):
        customer["address"] = nothing | {"country": country}
    if session["_subscription"] is None:
        checkout_sessions.reprice(account, session, session["_beginning"])


def _saved(account: Account, session: Document, customer: Document, method: Document | None) -> Document | None:
    """The method, kept for the renewals. Raises `StripeError` for one that the session or the bank does not take."""
    if method is None:
        if session["amount_total"] == 0 and session["payment_method_collection"] == "if_required":
            return None
        raise invalid("A payment method is required.", "payment_method")
    if method["type"] not in session["payment_method_types"]:
        raise invalid(f"This session does not take {method['type']}.", "payment_method")
    return payment_methods.attach(account, method, customer["id"])


def _begun(account: Account, session: Document, method: Document | None) -> Document:
    """The subscription of the session; another one where the last was not paid in time."""
    subscription = account.objects.maybe(session["_subscription"])
    if subscription is None or subscription["status"] != "incomplete":
        subscription = beginnings.begin(account, checkout_sessions.ready(account, session))
        session["_subscription"] = subscription["id"]
    invoice = account.objects.get("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        invoices.intent_of(account, invoice)["_return_url"] = f"{account.origin}/c/pay/{session['id']}"
    if method:
        with account.changing(subscription, "customer.subscription.updated"):
            subscription["default_payment_method"] = method["id"]
    return subscription


def _conclude(account: Account, session: Document, invoice: Document) -> None:
    """The session is complete when the invoice is paid, or its payment on the way."""
    is_paid = invoice["status"] == "paid"
    if not is_paid and not invoices.is_processing(account, invoice):
        return
    account.clock.cancel(f"session:{session['id']}")
    status = "no_payment_required" if invoice["total"] == 0 else "paid" if is_paid else "unpaid"
    session |= {"status": "complete", "payment_status": status, "url": None, "invoice": invoice["id"]}
    session |= {"subscription": session["_subscription"], "customer_details": _details(account, session)}
    account.emit("checkout.session.completed", session)


def _details(account: Account, session: Document) -> dict[str, Any]:
    customer = account.objects.get("customer", session["customer"])
    names = ("address", "business_name", "email", "individual_name", "name", "phone", "tax_exempt")
    return {name: customer[name] for name in names} | {"tax_ids": []}
