"""Credit notes: an invoice was too much. Of a paid one it goes back as a refund, as credit, or outside of Stripe."""

from typing import Any, Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import collection, invoices, refunds
from infra.local.emulators.stripe_server.billing.blank import made, shaped
from infra.local.emulators.stripe_server.errors import invalid, missing_parameter
from infra.local.emulators.stripe_server.lists import listed, page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_KIND: Final = "credit_note"
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")
_WAYS: Final = ("refund_amount", "credit_amount", "out_of_band_amount")


@operation(
    *("POST", "/v1/credit_notes"),
    required=("invoice", "amount"),
    takes=("invoice", "amount", "memo", "reason", "metadata", *_WAYS),
)
def create(call: Call) -> Document:
    """Credit an amount. Raises `StripeError` for more than the invoice bears, or ways back that do not add up."""
    account, given = call.account, call.params
    invoice = account.objects.get("invoice", given["invoice"], "invoice")
    amount, is_paid = given["amount"], invoice["status"] == "paid"
    _check(account, invoice, given)
    note = _make(account, invoice, given)
    account.emit("credit_note.created", note)
    if is_paid:
        _give_back(account, invoice, note, given)
    else:
        _lower(account, invoice, amount)
    return note


@operation("GET", "/v1/credit_notes/{id}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get(_KIND, call.id)


@operation("GET", "/v1/credit_notes", takes=("customer", "invoice", *_PAGED))
def index(call: Call) -> Document:
    """Newest first."""
    fields = {name: call.params[name] for name in ("customer", "invoice") if name in call.params}
    return page(call, call.account.objects.find(_KIND, lambda each: all(each[name] == fields[name] for name in fields)))


def _check(account: Account, invoice: Document, given: dict[str, Any]) -> None:
    amount, ways = given["amount"], sum(given.get(name, 0) for name in _WAYS)
    if invoice["status"] not in ("open", "paid"):
        raise invalid(f"You can't create a credit note for an invoice with status {invoice['status']}.", "invoice")
    is_paid = invoice["status"] == "paid"
    credited = invoice["post_payment_credit_notes_amount"]
    left = invoice["amount_paid"] - credited if is_paid else invoice["amount_remaining"]
    if not 0 < amount <= left:
        raise invalid(f"The credit note amount must be between 1 and {left}.", "amount")
    if is_paid and ways != amount:
        message = "The sum of refund, credit and outside of Stripe amounts must equal the credit note amount."
        raise invalid(message, "refund_amount")
    if not is_paid and ways:
        raise invalid("An open invoice is lowered: nothing goes back.", "refund_amount")
    if is_paid and given.get("refund_amount"):
        refunds.check(account, _charge(account, invoice), given["refund_amount"])


def _make(account: Account, invoice: Document, given: dict[str, Any]) -> Document:
    amount, is_paid = given["amount"], invoice["status"] == "paid"
    number = len(account.objects.find(_KIND, lambda each: each["invoice"] == invoice["id"])) + 1
    note_id = account.new_id("cn")
    return made(
        account,
        _KIND,
        "cn",
        id=note_id,
        amount=amount,
        amount_shipping=0,
        currency=invoice["currency"],
        customer=invoice["customer"],
        discount_amount=0,
        discount_amounts=[],
        effective_at=account.now(),
        invoice=invoice["id"],
        lines=listed(f"/v1/credit_notes/{note_id}/lines", [_line(account, amount, given.get("memo"))]),
        memo=given.get("memo"),
        metadata=dict(given.get("metadata") or {}),
        number=f"{invoice['number']}-CN-{number:02d}",
        out_of_band_amount=given.get("out_of_band_amount"),
        pdf=f"{account.origin}/i/{invoice['id']}",
        post_payment_amount=amount if is_paid else 0,
        pre_payment_amount=0 if is_paid else amount,
        pretax_credit_amounts=[],
        reason=given.get("reason"),
        refunds=[],
        status="issued",
        subtotal=amount,
        subtotal_excluding_tax=amount,
        total=amount,
        total_excluding_tax=amount,
        total_taxes=[],
        type="post_payment" if is_paid else "pre_payment",
    )


def _line(account: Account, amount: int, memo: str | None) -> Document:
    return shaped(
        account,
        "credit_note_line_item",
        account.new_id("cnli"),
        amount=amount,
        description=memo or "Credit",
        discount_amount=0,
        discount_amounts=[],
        pretax_credit_amounts=[],
        quantity=1,
        tax_rates=[],
        taxes=[],
        type="custom_line_item",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )


def _give_back(account: Account, invoice: Document, note: Document, given: dict[str, Any]) -> None:
    if amount := given.get("refund_amount"):
        refund = refunds.refund(account, _charge(account, invoice), amount, {})
        note["refunds"].append({"amount_refunded": amount, "refund": refund["id"], "type": "refund"})
    if amount := given.get("credit_amount"):
        customer = account.objects.get("customer", invoice["customer"])
        with account.changing(customer, "customer.updated"):
            customer["balance"] -= amount
    with account.changing(invoice, "invoice.updated"):
        invoice["post_payment_credit_notes_amount"] += note["amount"]


def _lower(account: Account, invoice: Document, amount: int) -> None:
    """Less is to be paid; nothing left is paid."""
    with account.changing(invoice, "invoice.updated"):
        invoice["pre_payment_credit_notes_amount"] += amount
        invoice["amount_due"] -= amount
        invoice["amount_remaining"] -= amount
    payment, intent = invoices.payment_of(account, invoice), invoices.intent_of(account, invoice)
    payment["amount_requested"] = intent["amount"] = invoice["amount_remaining"]
    if invoice["amount_remaining"] == 0:
        collection.pay_outside(account, invoice)


def _charge(account: Account, invoice: Document) -> Document:
    """What the invoice was paid with. Raises `StripeError` for one that was paid without Stripe."""
    if not invoice.get("_payment"):
        raise missing_parameter("out_of_band_amount")
    return account.objects.get("charge", invoices.intent_of(account, invoice)["latest_charge"] or "")
