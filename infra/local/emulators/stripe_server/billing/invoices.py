"""What becomes of an invoice: draft, open, paid, void or uncollectible. Nothing here takes money."""

from collections.abc import Callable
from typing import Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import payments
from infra.local.emulators.stripe_server.billing.blank import made
from infra.local.emulators.stripe_server.billing.invoice_documents import Draft, composed, due_and_balance
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.objects import Document

FINALIZES_AFTER: Final = 3600
"""From the moment that every endpoint has taken `invoice.created`."""
FINALIZES_AT_LAST: Final = 72 * 3600
"""Without that."""
_NO_LOCATION: Final = "The customer's location isn't recognized. Set a valid customer address to calculate tax."


def create(account: Account, draft: Draft, delivered: Callable[[Document], object] | None = None) -> Document:
    """A stored draft. `delivered` gets it once `invoice.created` has been taken by everybody who listens."""
    invoice = account.objects.put(composed(account, draft, account.new_id("in")))
    invoice["lines"]["url"] = f"/v1/invoices/{invoice['id']}/lines"
    account.emit("invoice.created", invoice, delivered=(lambda: delivered(invoice)) if delivered else None)
    return invoice


def finalize(account: Account, invoice: Document) -> None:
    """Numbered, open, with an intent to pay it; nothing to pay is paid. Raises `StripeError` for no draft."""
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    if needs_location(invoice):
        raise invalid(_NO_LOCATION, code="customer_tax_location_invalid")
    customer = account.objects.get("customer", invoice["customer"])
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    _use_balance(account, customer, invoice)
    with account.changing(invoice, "invoice.updated"):
        invoice |= {
            "status": "open",
            "number": number,
            "effective_at": account.now(),
            "automatically_finalizes_at": None,
        }
        invoice["status_transitions"]["finalized_at"] = account.now()
        invoice["hosted_invoice_url"] = f"{account.origin}/i/{invoice['id']}"
        invoice["invoice_pdf"] = f"{account.origin}/i/{invoice['id']}/pdf"
        if invoice["amount_due"] > 0:
            _ask_payment(account, invoice)
    account.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        mark_paid(account, invoice, amount=0)


def needs_location(invoice: Document) -> bool:
    """Whether its tax cannot be computed, because nobody knows where the customer is."""
    return bool(invoice["automatic_tax"]["status"] == "requires_location_inputs")


def fail_finalization(account: Account, invoice: Document) -> None:
    """It stays a draft, and says why."""
    error = {"code": "customer_tax_location_invalid", "message": _NO_LOCATION, "type": "invalid_request_error"}
    with account.changing(invoice, "invoice.updated"):
        invoice |= {"last_finalization_error": error, "automatically_finalizes_at": None}
        invoice["automatic_tax"]["disabled_reason"] = "finalization_requires_location_inputs"
    account.emit("invoice.finalization_failed", invoice)


def intent_of(account: Account, invoice: Document) -> Document:
    """What the invoice is paid with. Raises `StripeError` where nothing is to be paid."""
    payment = payment_of(account, invoice)
    return account.objects.get("payment_intent", payment["payment"]["payment_intent"])


def payment_of(account: Account, invoice: Document) -> Document:
    """The invoice's payment, which leads to its intent. Raises `StripeError` where nothing is to be paid."""
    return account.objects.get("invoice_payment", invoice.get("_payment") or "")


def is_processing(account: Account, invoice: Document | None) -> bool:
    """Whether a bank has yet to answer about it."""
    return bool(invoice and invoice.get("_payment") and intent_of(account, invoice)["status"] == "processing")


def mark_paid(account: Account, invoice: Document, *, amount: int) -> None:
    """Paid with so much money; the rest was balance or happened elsewhere."""
    with account.changing(invoice, "invoice.updated"):
        invoice |= {"status": "paid", "amount_paid": amount, "amount_remaining": 0, "next_payment_attempt": None}
        invoice |= {"attempted": True, "auto_advance": False}
        invoice["status_transitions"]["paid_at"] = account.now()
    if payment := account.objects.maybe(invoice.get("_payment")):
        payment |= {"status": "paid", "amount_paid": amount}
        payment["status_transitions"]["paid_at"] = account.now()
        account.emit("invoice_payment.paid", payment)
    account.emit("invoice.paid", invoice)
    account.emit("invoice.payment_succeeded", invoice)


def void(account: Account, invoice: Document) -> None:
    """It was never meant. Raises `StripeError` for one that is neither open nor uncollectible."""
    if is_processing(account, invoice):
        raise invalid("This invoice cannot be voided while a payment of it is processing.", code="invoice_not_editable")
    if invoice["status"] not in ("open", "uncollectible"):
        message = f"You can only pass in open invoices. This invoice isn't open (status: {invoice['status']})."
        raise invalid(message, code="invoice_not_editable")
    with account.changing(invoice, "invoice.updated"):
        invoice |= {"status": "void", "auto_advance": False, "next_payment_attempt": None}
        invoice["status_transitions"]["voided_at"] = account.now()
    _stop_payment(account, invoice, "void_invoice")
    account.emit("invoice.voided", invoice)


def mark_uncollectible(account: Account, invoice: Document) -> None:
    """Bad debt; it can still be paid or voided. Raises `StripeError` for one that is not open."""
    if invoice["status"] != "open":
        raise invalid("You can only mark open invoices as uncollectible.", code="invoice_not_editable")
    with account.changing(invoice, "invoice.updated"):
        invoice |= {"status": "uncollectible", "auto_advance": False, "next_payment_attempt": None}
        invoice["status_transitions"]["marked_uncollectible_at"] = account.now()
    account.emit("invoice.marked_uncollectible", invoice)


def _ask_payment(account: Account, invoice: Document) -> None:
    description = f"Payment for Invoice {invoice['number']}"
    amount, currency = invoice["amount_due"], invoice["currency"]
    back = invoice["hosted_invoice_url"]
    intent = payments.create(account, invoice["customer"], amount, currency, description, back)
    payment = made(
        account,
        "invoice_payment",
        "inpay",
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )
    invoice["_payment"] = payment["id"]


def _stop_payment(account: Account, invoice: Document, reason: str) -> None:
    if payment := account.objects.maybe(invoice.get("_payment")):
        payments.cancel(account, intent_of(account, invoice), reason)
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = account.now()


def _use_balance(account: Account, customer: Document, invoice: Document) -> None:
    """The customer's balance pays first, and keeps what an invoice gives back or is too little of."""
    balance = customer["balance"]
    due, left = due_and_balance(invoice["total"], balance, invoice["currency"])
    invoice |= {"starting_balance": balance, "amount_due": due, "amount_remaining": due, "ending_balance": left}
    with account.changing(customer, "customer.updated"):
        customer["balance"] = left
