"""Changes of a subscription: its items with prorations, its trial, its end, and everything that costs nothing."""

from typing import Any, Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import collection, discounts, ends, payments, renewals, statuses
from infra.local.emulators.stripe_server.billing.beginnings import check_address, require_address
from infra.local.emulators.stripe_server.billing.changes import Change, Wanted, check_instant, worked_out
from infra.local.emulators.stripe_server.billing.invoice_documents import Draft
from infra.local.emulators.stripe_server.billing.outcomes import outcome_of
from infra.local.emulators.stripe_server.billing.subscription_documents import items_of, period_of, set_items
from infra.local.emulators.stripe_server.billing.subscriptions import automatic_tax, own_method
from infra.local.emulators.stripe_server.documents import public, update
from infra.local.emulators.stripe_server.errors import invalid, not_done
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_PENDING: Final = frozenset(
    "items proration_behavior proration_date payment_behavior billing_cycle_anchor metadata off_session".split()
)
"""What may accompany a change that waits for its payment."""
_COSTS: Final = ("items", "billing_cycle_anchor", "trial_end")
_HOW: Final = ("proration_behavior", "proration_date", "payment_behavior", "off_session")
_FIELDS: Final = ("description", "pause_collection", "trial_settings")
_OTHERS: Final = ("default_payment_method", "automatic_tax", "discounts", "payment_settings", "metadata")
_END: Final = ("cancel_at", "cancel_at_period_end", "cancellation_details")


@operation(*("POST", "/v1/subscriptions/{subscription_exposed_id}"), takes=(*_COSTS, *_HOW, *_FIELDS, *_OTHERS, *_END))
def change(call: Call) -> Document:
    """Change it. Raises `StripeError`; with `error_if_incomplete` a payment that fails changes nothing."""
    subscription = call.account.objects.get("subscription", call.id)
    apply(call.account, subscription, call.params)
    return subscription


def apply(account: Account, subscription: Document, given: dict[str, Any]) -> None:
    """The change that a request, or a customer in the portal, asks for. Raises `StripeError`."""
    _check_status(subscription, given)
    if given.get("payment_behavior") == "pending_if_incomplete":
        _check_pending(given)
    _check_fields(account, subscription, given)
    wanted = wanted_of(account, subscription, given)
    worked = worked_out(account, subscription, wanted) if wanted else None
    is_billed = worked is not None and _is_billed(worked, given)
    if is_billed:
        require_address(account, subscription)
    if worked and is_billed and given.get("payment_behavior") == "pending_if_incomplete":
        _pay_first(account, subscription, worked, given)
        return
    if worked and is_billed and given.get("payment_behavior") == "error_if_incomplete":
        _require_success(account, subscription, worked)
    _make(account, subscription, worked, given, is_billed=is_billed)
    renewals.plan(account, subscription)


def wanted_of(account: Account, subscription: Document, given: dict[str, Any]) -> Wanted | None:
    """The change of items that a request or a preview asks for, if any. Raises `StripeError`."""
    anchor = given.get("billing_cycle_anchor", {}).get("type") == "now"
    ends_trial = given.get("trial_end") == "now" and subscription["status"] == "trialing"
    if not given.get("items") and not anchor and not ends_trial:
        return None
    at = given.get("proration_date", account.now())
    if "proration_date" in given:
        check_instant(subscription, at)
    prorates = given.get("proration_behavior", "create_prorations") != "none"
    return Wanted(given.get("items") or (), at, prorates, restarts=anchor or ends_trial)


def draft_of_change(account: Account, subscription: Document, worked: Change, at: int | None) -> Draft:
    """The invoice of a change that is billed at once, with what earlier changes have left to settle."""
    lines = [*subscription["_prorations"], *worked.lines]
    closes = period_of(items_of(subscription)[0])
    return renewals.draft_of(account, subscription, lines, "subscription_update", closes, at)


def _is_billed(worked: Change, given: dict[str, Any]) -> bool:
    """Whether an invoice follows at once: when asked for, and when periods begin anew."""
    return bool(worked.full or (worked.prorations and given.get("proration_behavior") == "always_invoice"))


def _check_status(subscription: Document, given: dict[str, Any]) -> None:
    status, harmless = subscription["status"], {"metadata", "cancellation_details"}
    if status in ("canceled", "incomplete_expired") and not given.keys() <= harmless:
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    if status == "incomplete" and given.keys() & {*_COSTS, "discounts"}:
        raise invalid("This subscription is incomplete: its items can be changed once its first invoice is paid.")
    if "pause_collection" in given and status == "paused":
        raise invalid("A paused subscription collects nothing.", "pause_collection")


def _check_fields(account: Account, subscription: Document, given: dict[str, Any]) -> None:
    """Raises `StripeError` before anything is changed."""
    ends.check(account, given, subscription)
    if method_id := given.get("default_payment_method"):
        own_method(account, subscription["customer"], method_id)
    if given.get("automatic_tax", {}).get("enabled"):
        check_address(account.objects.get("customer", subscription["customer"]))
    for each in given.get("discounts") or ():
        discounts.check(account, each, subscription["currency"])
    end = given.get("trial_end")
    if isinstance(end, int) and (subscription["status"] != "trialing" or end <= account.now()):
        raise not_done("trial_end")


def _check_pending(given: dict[str, Any]) -> None:
    if unsupported := sorted(given.keys() - _PENDING):
        message = (
            "When `payment_behavior` is set to `pending_if_incomplete`, you can only pass supported params. "
            f"You passed in unsupported params: {', '.join(unsupported)}."
        )
        raise invalid(message, unsupported[0])


def _require_success(account: Account, subscription: Document, worked: Change) -> None:
    method = statuses.method_of(account, subscription)
    if method and draft_of_change(account, subscription, worked, None).totals().total > 0:
        payments.require_success(outcome_of(method, subscription["currency"]))


def _make(
    account: Account, subscription: Document, worked: Change | None, given: dict[str, Any], *, is_billed: bool
) -> None:
    """Change it now; what is billed is tried afterwards, and an unpaid invoice makes it past due."""
    invoice = None
    with account.changing(subscription, "customer.subscription.updated"):
        _set_fields(account, subscription, given)
        if worked:
            if is_billed:
                invoice = _bill(account, subscription, worked, given.get("proration_date"))
            else:
                subscription["_prorations"] += worked.prorations
            set_items(account, subscription, worked.items)
            subscription["billing_cycle_anchor"] = worked.anchor
        if worked and worked.full and subscription["status"] == "trialing":
            subscription |= {"status": "active", "trial_end": account.now()}
    if invoice and (invoice["status"] == "paid" or given.get("payment_behavior") != "default_incomplete"):
        collection.proceed(account, invoice)


def _pay_first(account: Account, subscription: Document, worked: Change, given: dict[str, Any]) -> None:
    """The change is made once its invoice is paid; until then, for 23 hours, it is pending."""
    if subscription["pending_update"]:
        statuses.drop_update(account, subscription)
    invoice = _bill(account, subscription, worked, given.get("proration_date"))
    invoice["_update"] = {"items": worked.items, "billing_cycle_anchor": worked.anchor}
    invoice["_update"]["metadata"] = given.get("metadata") or {}
    collection.proceed(account, invoice)
    if invoice["status"] != "paid":
        with account.changing(subscription, "customer.subscription.updated"):
            subscription["pending_update"] = _pending_update(account, subscription, worked, given)
    renewals.plan(account, subscription)


def _pending_update(account: Account, subscription: Document, worked: Change, given: dict[str, Any]) -> Document:
    restarts = worked.anchor != subscription["billing_cycle_anchor"]
    return {
        "billing_cycle_anchor": worked.anchor if restarts else None,
        "expires_at": account.now() + renewals.FIRST_PAYMENT_WITHIN,
        "metadata": given.get("metadata") or None,
        "subscription_items": public(worked.items),
        "trial_end": None,
        "trial_from_plan": None,
    }


def _bill(account: Account, subscription: Document, worked: Change, at: int | None) -> Document:
    draft = draft_of_change(account, subscription, worked, at)
    subscription["_prorations"] = []
    invoice = collection.bill(account, draft)
    subscription["latest_invoice"] = invoice["id"]
    renewals.use_discounts(account, subscription)
    return invoice


def _set_fields(account: Account, subscription: Document, given: dict[str, Any]) -> None:
    ends.schedule(account, subscription, given)
    update(subscription, given, *_FIELDS)
    if pause := subscription["pause_collection"]:
        pause.setdefault("resumes_at", None)
    if "default_payment_method" in given:
        subscription["default_payment_method"] = given["default_payment_method"] or None
    if "automatic_tax" in given:
        subscription["automatic_tax"] = automatic_tax(given["automatic_tax"])
    if "payment_settings" in given:
        subscription["payment_settings"] |= given["payment_settings"]
    if "discounts" in given:
        found = given["discounts"] or ()
        customer, currency = subscription["customer"], subscription["currency"]
        subscription["discounts"] = discounts.redeemed(account, found, customer, currency)
    if isinstance(end := given.get("trial_end"), int):
        for item in items_of(subscription):
            item["current_period_end"] = end
        subscription |= {"trial_end": end, "billing_cycle_anchor": end}
