"""What an invoice's fate does to its subscription.

incomplete -> active when the first invoice is paid; active -> past_due when a later one is not, back when it is; after
the last attempt the account's setting decides. A change that waits for its payment is made when that arrives.
"""

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import invoices
from infra.local.emulators.stripe_server.billing.subscription_documents import LIVE, set_items
from infra.local.emulators.stripe_server.objects import Document


def subscription_of(account: Account, invoice: Document) -> Document:
    """The subscription of an invoice."""
    return account.objects.get("subscription", invoice["parent"]["subscription_details"]["subscription"])


def method_of(account: Account, subscription: Document) -> Document | None:
    """What its invoices are paid with: the subscription's method, else the customer's."""
    customer = account.objects.get("customer", subscription["customer"])
    chosen = (subscription["default_payment_method"], customer["invoice_settings"]["default_payment_method"])
    found = (account.objects.maybe(each) for each in chosen)
    return next((each for each in found if each and each["customer"] == customer["id"]), None)


def is_there(account: Account, subscription: Document) -> bool:
    """Whether it and its customer still exist: `/_control/` takes objects away behind our back."""
    found = account.objects.maybe(subscription["id"])
    return found is subscription and account.objects.maybe(subscription["customer"]) is not None


def paid(account: Account, invoice: Document) -> None:
    """An invoice has been paid."""
    subscription = subscription_of(account, invoice)
    if invoice.get("_update"):
        apply_update(account, subscription, invoice)
    if subscription["status"] == "paused" and invoice.get("_resumes"):
        resume(account, subscription)
    elif subscription["status"] == "incomplete" or (
        subscription["status"] in ("past_due", "unpaid") and _is_settled(account, subscription, invoice)
    ):
        _become(account, subscription, "active")


def voided(account: Account, invoice: Document) -> None:
    """An invoice is void: a subscription that waited for it goes on, or is over if it was its first."""
    subscription = subscription_of(account, invoice)
    if subscription["pending_update"] and invoice.pop("_update", None):
        drop_update(account, subscription)
    elif subscription["status"] == "incomplete":
        expire(account, subscription)
    elif subscription["status"] in ("past_due", "unpaid") and not _invoices(account, subscription, "open"):
        _become(account, subscription, "active")


def failed(account: Account, invoice: Document) -> None:
    """An attempt to pay an invoice has failed."""
    subscription = subscription_of(account, invoice)
    if subscription["status"] == "active" and not invoice.get("_update") and not invoice.get("_resumes"):
        _become(account, subscription, "past_due")


def given_up(account: Account, invoice: Document) -> None:
    """The last attempt has failed: what the account's setting says."""
    subscription = subscription_of(account, invoice)
    after = account.settings.after_retries
    if subscription["status"] not in LIVE or after == "past_due":
        return
    if after == "canceled":
        end(account, subscription, "payment_failed")
    else:
        _become(account, subscription, "unpaid")


def end(account: Account, subscription: Document, reason: str) -> None:
    """Over for good. Open invoices stay open, drafts are not sent any more."""
    now = account.now()
    is_first = subscription["status"] == "incomplete"
    subscription |= {
        "status": "incomplete_expired" if is_first else "canceled",
        "ended_at": now,
        "pending_update": None,
    }
    subscription["canceled_at"] = subscription["canceled_at"] or now
    subscription["cancellation_details"]["reason"] = reason
    account.clock.cancel(f"subscription:{subscription['id']}")
    _stop_invoices(account, subscription, must_void=is_first)
    account.emit("customer.subscription.deleted", subscription)


def expire(account: Account, subscription: Document) -> None:
    """Its first invoice has not been paid in time."""
    with account.changing(subscription, "customer.subscription.updated"):
        subscription |= {"status": "incomplete_expired", "ended_at": account.now()}
    _stop_invoices(account, subscription, must_void=True)


def apply_update(account: Account, subscription: Document, invoice: Document) -> None:
    """The change that this invoice was for is made."""
    update = invoice.pop("_update")
    was_pending = subscription["pending_update"] is not None
    with account.changing(subscription, "customer.subscription.updated"):
        set_items(account, subscription, update.pop("items"))
        metadata = update.pop("metadata", {})
        subscription |= update | {"pending_update": None}
        subscription["metadata"] |= metadata
    if was_pending:
        account.emit("customer.subscription.pending_update_applied", subscription)


def drop_update(account: Account, subscription: Document) -> None:
    """The change that nobody paid for is forgotten, and its invoice voided."""
    invoice = account.objects.get("invoice", subscription["latest_invoice"])
    invoice.pop("_update", None)
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["pending_update"] = None
    if invoice["status"] == "open":
        invoices.void(account, invoice)
    account.emit("customer.subscription.pending_update_expired", subscription)


def resume(account: Account, subscription: Document) -> None:
    """It is not paused any more."""
    with account.changing(subscription, "customer.subscription.updated"):
        subscription |= {"status": "active", "status_details": None}
    account.emit("customer.subscription.resumed", subscription)


def _become(account: Account, subscription: Document, status: str) -> None:
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["status"] = status


def _is_settled(account: Account, subscription: Document, invoice: Document) -> bool:
    """Whether the latest invoice has been paid, or nothing else is open."""
    return invoice["id"] == subscription["latest_invoice"] or not _invoices(account, subscription, "open")


def _stop_invoices(account: Account, subscription: Document, *, must_void: bool) -> None:
    for invoice in _invoices(account, subscription, "draft", "open"):
        account.clock.cancel(f"finalize:{invoice['id']}")
        account.clock.cancel(f"retry:{invoice['id']}")
        if must_void and invoice["status"] == "open" and not invoices.is_processing(account, invoice):
            invoices.void(account, invoice)
        else:
            with account.changing(invoice, "invoice.updated"):
                invoice |= {"auto_advance": False, "next_payment_attempt": None}


def _invoices(account: Account, subscription: Document, *statuses: str) -> list[Document]:
    def fits(each: Document) -> bool:
        of = each["parent"]["subscription_details"]["subscription"]
        return bool(of == subscription["id"] and each["status"] in statuses)

    return account.objects.find("invoice", fits)
