"""Invoices and their payments, as requests see them."""

from typing import Any, Final

from infra.local.emulators.stripe_server import payment_methods
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import collection, invoices, statuses
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.lists import listed, page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_KIND: Final = "invoice"
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")


@operation("GET", "/v1/invoices", takes=("customer", "status", "subscription", "collection_method", *_PAGED))
def index(call: Call) -> Document:
    """Newest first."""
    given = call.params
    fields = {name: given[name] for name in ("customer", "status", "collection_method") if name in given}
    of = given.get("subscription")

    def fits(each: Document) -> bool:
        parent = each["parent"]["subscription_details"]["subscription"]
        return of in (None, parent) and all(each[name] == fields[name] for name in fields)

    return page(call, call.account.objects.find(_KIND, fits))


@operation("GET", "/v1/invoices/{invoice}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get(_KIND, call.id)


@operation("POST", "/v1/invoices/{invoice}", takes=("metadata", "description", "auto_advance"))
def change(call: Call) -> Document:
    """Notes, and whether a draft goes on by itself."""
    invoice = call.account.objects.get(_KIND, call.id)
    with call.account.changing(invoice, "invoice.updated"):
        update(invoice, call.params, "description", "auto_advance")
    return invoice


@operation("POST", "/v1/invoices/{invoice}/finalize", takes=("auto_advance",))
def finalize(call: Call) -> Document:
    """A draft becomes open, and is tried at once unless `auto_advance` is off."""
    account, invoice = call.account, call.account.objects.get(_KIND, call.id)
    account.clock.cancel(f"finalize:{invoice['id']}")
    invoices.finalize(account, invoice)
    if invoice["status"] == "paid" or call.params.get("auto_advance"):
        collection.proceed(account, invoice)
    return invoice


@operation(
    *("POST", "/v1/invoices/{invoice}/pay"),
    exclusive=(("payment_method", "paid_out_of_band"),),
    takes=("payment_method", "paid_out_of_band", "off_session"),
)
def pay(call: Call) -> Document:
    """Try it now. Raises `StripeError` 402 when it is not paid afterwards, unless the bank takes its time."""
    account, given = call.account, call.params
    invoice = account.objects.get(_KIND, call.id)
    method = _chosen(account, invoice, given.get("payment_method"))
    _require_payable(account, invoice)
    if invoice["status"] == "draft":
        account.clock.cancel(f"finalize:{invoice['id']}")
        invoices.finalize(account, invoice)
    if given.get("paid_out_of_band"):
        collection.pay_outside(account, invoice)
        return invoice
    method = method or statuses.method_of(account, statuses.subscription_of(account, invoice))
    if method is None and invoice["status"] != "paid":
        message = "There is no `default_payment_method` set on this Customer or Invoice."
        raise invalid(f"{message} Please set one to attempt payment.", "payment_method", "resource_missing")
    collection.proceed(account, invoice, method, is_retry=False)
    if invoice["status"] != "paid" and not invoices.is_processing(account, invoice):
        raise collection.refusal(account, invoice)
    return invoice


@operation("POST", "/v1/invoices/{invoice}/void")
def void(call: Call) -> Document:
    """It was never meant; the subscription goes on."""
    account, invoice = call.account, call.account.objects.get(_KIND, call.id)
    account.clock.cancel(f"retry:{invoice['id']}")
    invoices.void(account, invoice)
    statuses.voided(account, invoice)
    return invoice


@operation("POST", "/v1/invoices/{invoice}/mark_uncollectible")
def mark_uncollectible(call: Call) -> Document:
    """Bad debt."""
    account, invoice = call.account, call.account.objects.get(_KIND, call.id)
    account.clock.cancel(f"retry:{invoice['id']}")
    invoices.mark_uncollectible(account, invoice)
    return invoice


@operation("GET", "/v1/invoice_payments", takes=("invoice", "payment", "status", *_PAGED))
def payments(call: Call) -> Document:
    """Newest first; by invoice, or by what an invoice is paid with."""
    given = call.params
    fields = {name: given[name] for name in ("invoice", "status") if name in given}
    intent = given.get("payment", {}).get("payment_intent")

    def fits(each: Document) -> bool:
        is_of = intent in (None, each["payment"]["payment_intent"])
        return is_of and all(each[name] == fields[name] for name in fields)

    return page(call, call.account.objects.find("invoice_payment", fits))


@operation("GET", "/v1/invoice_payments/{invoice_payment}")
def payment(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("invoice_payment", call.id)


def payments_of(account: Account, invoice: Document) -> Document:
    """The field `payments` of an invoice, which is shown on demand alone."""
    payment_id = (account.objects.maybe(invoice["id"]) or {}).get("_payment")
    found = [account.objects.get("invoice_payment", payment_id)] if payment_id else []
    return listed(f"/v1/invoice_payments?invoice={invoice['id']}", found)


def confirmation_secret(account: Account, invoice: Document) -> Document | None:
    """The field of that name, which is shown on demand alone."""
    if not (payment_id := (account.objects.maybe(invoice["id"]) or {}).get("_payment")):
        return None
    found = account.objects.get("invoice_payment", payment_id)
    intent = account.objects.get("payment_intent", found["payment"]["payment_intent"])
    return {"client_secret": intent["client_secret"], "type": "payment_intent"}


def _chosen(account: Account, invoice: Document, method_id: str | None) -> Document | None:
    """The method that is to be used once. Raises `StripeError` for somebody else's."""
    if method_id is None:
        return None
    method: dict[str, Any] = payment_methods.resolve(account, method_id)
    if method["customer"] is None and not account.objects.maybe(method_id):
        payment_methods.attach(account, method, invoice["customer"])
    if method["customer"] != invoice["customer"]:
        message = "The payment method does not belong to the customer of this invoice."
        raise invalid(message, "payment_method", "resource_missing")
    return method


def _require_payable(account: Account, invoice: Document) -> None:
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid")
    if invoice["status"] == "void":
        raise invalid("You can only pay an invoice that is not void.", code="invoice_not_editable")
    if invoices.is_processing(account, invoice):
        raise invalid("A payment of this invoice is still processing.", code="payment_intent_unexpected_state")
