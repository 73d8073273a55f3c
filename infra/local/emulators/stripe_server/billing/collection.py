"""Taking money for invoices: the attempts, the retries between them, and what a bank says days later."""

from typing import Final

from infra.local.emulators.stripe_server import cards
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import disputes, invoices, payments, sessions, statuses
from infra.local.emulators.stripe_server.billing.invoice_documents import Draft
from infra.local.emulators.stripe_server.billing.outcomes import is_hard
from infra.local.emulators.stripe_server.errors import StripeError
from infra.local.emulators.stripe_server.objects import Document

_DAY: Final = 86_400


def bill(account: Account, draft: Draft) -> Document:
    """A new invoice that is finalized at once. `proceed` comes next, if it is to be tried."""
    invoice = invoices.create(account, draft)
    invoices.finalize(account, invoice)
    return invoice


def bill_later(account: Account, draft: Draft) -> Document:
    """A new draft that is finalized an hour after everybody has taken `invoice.created`, and then collected."""
    invoice = invoices.create(account, draft, delivered=lambda made: _soon(account, made))
    if not invoice["automatically_finalizes_at"]:
        _finalize_at(account, invoice, account.now() + invoices.FINALIZES_AT_LAST)
    return invoice


def hold(account: Account, invoice: Document) -> None:
    """A draft that stays one until somebody finalizes it."""
    account.clock.cancel(f"finalize:{invoice['id']}")
    invoice |= {"auto_advance": False, "automatically_finalizes_at": None}


def finalize_and_collect(account: Account, invoice: Document) -> None:
    """What happens to a draft when its time has come."""
    account.clock.cancel(f"finalize:{invoice['id']}")
    if invoices.needs_location(invoice):
        invoices.fail_finalization(account, invoice)
        return
    invoices.finalize(account, invoice)
    proceed(account, invoice)


def proceed(account: Account, invoice: Document, method: Document | None = None, *, is_retry: bool = True) -> None:
    """After finalizing: nothing to pay is paid, anything else is tried."""
    if invoice["status"] == "paid":
        statuses.paid(account, invoice)
    else:
        collect(account, invoice, method, is_retry=is_retry)


def collect(account: Account, invoice: Document, method: Document | None = None, *, is_retry: bool = True) -> None:
    """One attempt to pay an open invoice, with this method or the one that applies. Its status says what came of it."""
    if invoice["status"] == "paid":
        return
    method = method or statuses.method_of(account, statuses.subscription_of(account, invoice))
    _count(account, invoice, is_retry=is_retry)
    if method is None:
        account.emit("invoice.payment_failed", invoice)
        _after_failure(account, invoice)
        return
    intent = invoices.intent_of(account, invoice)
    payments.attempt(account, intent, method)
    _react(account, invoice, intent)


def authenticate(account: Account, invoice: Document, *, passed: bool) -> None:
    """The customer has answered the bank's question about an invoice. Raises `StripeError` if there was none."""
    intent = invoices.intent_of(account, invoice)
    payments.authenticate(account, intent, passed=passed)
    _react(account, invoice, intent)


def pay_outside(account: Account, invoice: Document) -> None:
    """The money came some other way."""
    account.clock.cancel(f"retry:{invoice['id']}")
    payments.cancel(account, invoices.intent_of(account, invoice), "requested_by_customer")
    invoices.mark_paid(account, invoice, amount=0)
    statuses.paid(account, invoice)


def refusal(account: Account, invoice: Document) -> StripeError:
    """The error of a request that wanted this invoice paid at once."""
    return payments.refusal(invoices.intent_of(account, invoice))


def _react(account: Account, invoice: Document, intent: Document) -> None:
    if intent["status"] == "succeeded":
        _after_success(account, invoice, intent)
    elif intent["status"] == "processing":
        due = account.now() + payments.SETTLES_AFTER
        account.clock.at(due, lambda: _settle(account, invoice, intent), name=f"settle:{intent['id']}")
    else:
        if intent["status"] == "requires_action":
            account.emit("invoice.payment_action_required", invoice)
        account.emit("invoice.payment_failed", invoice)
        _after_failure(account, invoice)


def _settle(account: Account, invoice: Document, intent: Document) -> None:
    """A bank answers even when the customer is gone."""
    if account.objects.maybe(invoice["parent"]["subscription_details"]["subscription"]) is None:
        return
    payments.settle(account, intent)
    _react(account, invoice, intent)
    sessions.payment_settled(account, invoice)


def _after_success(account: Account, invoice: Document, intent: Document) -> None:
    account.clock.cancel(f"retry:{invoice['id']}")
    invoices.mark_paid(account, invoice, amount=intent["amount"])
    statuses.paid(account, invoice)
    method = account.objects.get("payment_method", intent["payment_method"])
    if cards.behaviour(method).disputed:
        disputes.open_dispute(account, account.objects.get("charge", intent["latest_charge"]))


def _after_failure(account: Account, invoice: Document) -> None:
    """The next attempt, where there is one, and what the subscription makes of it."""
    retries = account.settings.retry_days
    statuses.failed(account, invoice)
    if not invoice["auto_advance"] or _is_held(account, invoice):
        return
    if invoice["attempt_count"] > len(retries):
        _give_up(account, invoice)
    elif not account.clock.is_waiting(f"retry:{invoice['id']}"):  # an attempt that was asked for does not move the next
        _retry_at(account, invoice, account.now() + retries[invoice["attempt_count"] - 1] * _DAY)


def _is_held(account: Account, invoice: Document) -> bool:
    """Whether something else than retries ends the wait for this payment: 23 hours."""
    subscription = statuses.subscription_of(account, invoice)
    return subscription["status"] in ("incomplete", "incomplete_expired", "paused") or bool(invoice.get("_update"))


def _is_there(account: Account, invoice: Document) -> bool:
    """Whether the invoice and its subscription still exist: `/_control/` takes objects away behind our back."""
    of = account.objects.maybe(invoice["parent"]["subscription_details"]["subscription"])
    return account.objects.maybe(invoice["id"]) is invoice and of is not None and statuses.is_there(account, of)


def _give_up(account: Account, invoice: Document) -> None:
    with account.changing(invoice, "invoice.updated"):
        invoice |= {"next_payment_attempt": None, "auto_advance": False}
    statuses.given_up(account, invoice)


def _retry_at(account: Account, invoice: Document, instant: int) -> None:
    with account.changing(invoice, "invoice.updated"):
        invoice["next_payment_attempt"] = instant
    account.clock.at(instant, lambda: _retry(account, invoice), name=f"retry:{invoice['id']}")


def _retry(account: Account, invoice: Document) -> None:
    """After a hard decline the bank is not asked again until there is another method; the plan goes on nevertheless."""
    if invoice["status"] != "open" or not _is_there(account, invoice) or invoices.is_processing(account, invoice):
        return
    method = statuses.method_of(account, statuses.subscription_of(account, invoice))
    error = invoices.intent_of(account, invoice)["last_payment_error"] or {}
    failed_with = (error.get("payment_method") or {}).get("id")
    if is_hard(error.get("decline_code")) and (method is None or method["id"] == failed_with):
        _count(account, invoice, is_retry=True)
        _after_failure(account, invoice)
    else:
        collect(account, invoice, method)


def _count(account: Account, invoice: Document, *, is_retry: bool) -> None:
    """Any attempt is the first one; afterwards only those of the plan count."""
    with account.changing(invoice, "invoice.updated"):
        invoice["attempted"] = True
        if is_retry or invoice["attempt_count"] == 0:
            invoice["attempt_count"] += 1


def _soon(account: Account, invoice: Document) -> None:
    if invoice["status"] == "draft" and invoice["auto_advance"]:
        invoice["webhooks_delivered_at"] = account.now()
        _finalize_at(account, invoice, account.now() + invoices.FINALIZES_AFTER)


def _finalize_at(account: Account, invoice: Document, instant: int) -> None:
    invoice["automatically_finalizes_at"] = instant

    def finalize() -> None:
        if invoice["status"] == "draft" and invoice["auto_advance"] and _is_there(account, invoice):
            finalize_and_collect(account, invoice)

    account.clock.at(instant, finalize, name=f"finalize:{invoice['id']}")
