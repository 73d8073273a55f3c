"""Subscriptions: create, retrieve, list, cancel and resume. Changes are in `updates`."""

from typing import Any, Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import beginnings, collection, ends, payments, renewals, statuses
from infra.local.emulators.stripe_server.billing.beginnings import Beginning, Checked
from infra.local.emulators.stripe_server.billing.changes import Wanted, worked_out
from infra.local.emulators.stripe_server.billing.outcomes import outcome_of
from infra.local.emulators.stripe_server.billing.subscription_documents import items_of, period_of, set_items
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import invalid, not_done, require_done, resource_missing
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_KIND: Final = "subscription"
_DAY: Final = 86_400
_OVER: Final = ("canceled", "incomplete_expired")
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")
_GIVEN: Final = ("items", "currency", "discounts", "trial_end", "trial_period_days", "billing_cycle_anchor", "metadata")
_FIELDS: Final = ("default_payment_method", "description", "automatic_tax", "trial_settings", "payment_settings")
_HOW: Final = ("billing_mode", "proration_behavior", "payment_behavior", "off_session", "cancel_at")


@operation(
    *("POST", "/v1/subscriptions"),
    required=("customer", "items"),
    exclusive=(("trial_end", "trial_period_days"),),
    takes=("customer", *_GIVEN, *_FIELDS, *_HOW, "cancel_at_period_end"),
)
def create(call: Call) -> Document:
    """A subscription, paid at once where it can be. Raises `StripeError` when there is nothing to pay with."""
    account, given = call.account, call.params
    customer = account.objects.get("customer", given["customer"], "customer")
    behavior = given.get("payment_behavior", "allow_incomplete")
    if behavior == "pending_if_incomplete":
        raise invalid("`pending_if_incomplete` is for updates of subscriptions.", "payment_behavior")
    ends.check(account, given)
    ready = beginnings.checked(account, _beginning(account, customer, given))
    if behavior != "default_incomplete":
        _require_method(account, ready, can_fail=behavior == "allow_incomplete")
    subscription = beginnings.begin(account, ready)
    with account.changing(subscription, "customer.subscription.updated"):
        ends.schedule(account, subscription, given)
    if behavior != "default_incomplete" or not ready.totals.total:
        beginnings.proceed(account, subscription)
    renewals.plan(account, subscription)
    return subscription


@operation("GET", "/v1/subscriptions/{subscription_exposed_id}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get(_KIND, call.id)


@operation("GET", "/v1/subscriptions", takes=("customer", "price", "status", *_PAGED))
def index(call: Call) -> Document:
    """Newest first; those that are over only with `status` `all` or their own."""
    given = call.params
    status, customer, price = given.get("status"), given.get("customer"), given.get("price")

    def fits(each: Document) -> bool:
        if customer not in (None, each["customer"]):
            return False
        if price is not None and all(item["price"]["id"] != price for item in items_of(each)):
            return False
        return status == "all" or _has_status(each, status)

    return page(call, call.account.objects.find(_KIND, fits))


@operation(
    *("DELETE", "/v1/subscriptions/{subscription_exposed_id}"),
    takes=("cancellation_details", "invoice_now", "prorate"),
)
def cancel(call: Call) -> Document:
    """Over at once. Raises `StripeError` 404 for one that is."""
    account, given = call.account, call.params
    subscription = account.objects.get(_KIND, call.id)
    if subscription["status"] in _OVER:
        raise resource_missing(_KIND, call.id)
    if given.get("invoice_now"):
        beginnings.require_address(account, subscription)
    update(subscription["cancellation_details"], given.get("cancellation_details", {}), "comment", "feedback")
    if given.get("prorate"):
        _credit_rest(account, subscription)
    if given.get("invoice_now") and subscription["_prorations"]:
        _bill_rest(account, subscription)
    ends.end(account, subscription)
    return subscription


@operation(
    *("POST", "/v1/subscriptions/{subscription}/resume"),
    takes=("billing_cycle_anchor", "payment_behavior", "proration_behavior"),
)
def resume(call: Call) -> Document:
    """Go on with a paused one: after the attempt to pay, or with `resume_on_payment_success` after the payment."""
    account, given = call.account, call.params
    subscription = account.objects.get(_KIND, call.id)
    if subscription["status"] != "paused":
        raise invalid("This subscription cannot be resumed because it is not paused.")
    if given.get("billing_cycle_anchor", {}).get("type", "now") != "now":
        raise not_done("billing_cycle_anchor[type]")
    beginnings.require_address(account, subscription)
    invoice = _bill_resumption(account, subscription)
    if given.get("payment_behavior") == "resume_on_payment_success":
        invoice["_resumes"] = True
        subscription["_resumes_until"] = account.now() + renewals.FIRST_PAYMENT_WITHIN
    else:
        statuses.resume(account, subscription)
    collection.proceed(account, invoice)
    renewals.plan(account, subscription)
    return subscription


def _has_status(subscription: Document, status: str | None) -> bool:
    if status == "ended":
        return subscription["status"] in _OVER
    return bool(subscription["status"] == status if status else subscription["status"] != "canceled")


def _beginning(account: Account, customer: Document, given: dict[str, Any]) -> Beginning:
    """What a request asks for. Raises `StripeError`."""
    if given.get("billing_mode", {}).get("type", "flexible") != "flexible":
        raise not_done("billing_mode[type]")
    for place, item in enumerate(given["items"]):
        require_done(item, ("price", "quantity", "metadata"), f"items[{place}]")
    if given.get("automatic_tax", {}).get("enabled"):
        beginnings.check_address(customer)
    return Beginning(
        customer=customer,
        items=given["items"],
        currency=given.get("currency"),
        discounts=given.get("discounts") or (),
        trial_end=trial_end(account, given),
        anchor=given.get("billing_cycle_anchor"),
        prorates=given.get("proration_behavior") != "none",
        fields=_fields(account, customer, given),
    )


def trial_end(account: Account, given: dict[str, Any]) -> int | None:
    """When a trial is to end, if there is to be one."""
    if days := given.get("trial_period_days"):
        return account.now() + int(days) * _DAY
    end = given.get("trial_end")
    return None if end in (None, "now") else end


def _fields(account: Account, customer: Document, given: dict[str, Any]) -> dict[str, Any]:
    fields = {"metadata": dict(given.get("metadata") or {}), "description": given.get("description")}
    fields["automatic_tax"] = automatic_tax(given.get("automatic_tax", {}))
    if method_id := given.get("default_payment_method"):
        fields["default_payment_method"] = own_method(account, customer["id"], method_id)["id"]
    if "trial_settings" in given:
        fields["trial_settings"] = given["trial_settings"]
    if "payment_settings" in given:
        nothing = dict.fromkeys(("payment_method_options", "payment_method_types"))
        fields["payment_settings"] = nothing | {"save_default_payment_method": "off"} | given["payment_settings"]
    return fields


def automatic_tax(given: Document) -> Document:
    """The field of a subscription."""
    enabled = bool(given.get("enabled"))
    return {"disabled_reason": None, "enabled": enabled, "liability": {"type": "self"} if enabled else None}


def own_method(account: Account, customer_id: str, method_id: str) -> Document:
    """A method of this customer. Raises `StripeError` for anybody else's."""
    method = account.objects.get("payment_method", method_id, "default_payment_method")
    if method["customer"] != customer_id:
        message = f"The customer does not have a payment method with the ID {method_id}."
        raise invalid(message, "default_payment_method", "resource_missing")
    return method


def _require_method(account: Account, ready: Checked, *, can_fail: bool) -> None:
    """Raises `StripeError`: without a method, or, where the payment must not fail, for one that fails."""
    if ready.totals.total <= 0:
        return
    chosen = ready.beginning.fields.get("default_payment_method")
    chosen = chosen or ready.beginning.customer["invoice_settings"]["default_payment_method"]
    if not chosen:
        message = "This customer has no attached payment source or default payment method."
        raise invalid(f"{message} Please consider adding a default payment method.", code="resource_missing")
    if not can_fail:
        payments.require_success(outcome_of(account.objects.get("payment_method", chosen), ready.currency))


def _credit_rest(account: Account, subscription: Document) -> None:
    change = worked_out(account, subscription, Wanted([], account.now(), restarts=True))
    subscription["_prorations"] += change.prorations


def _bill_rest(account: Account, subscription: Document) -> None:
    lines, closes = subscription["_prorations"], period_of(items_of(subscription)[0])
    subscription["_prorations"] = []
    draft = renewals.draft_of(account, subscription, lines, "subscription_update", closes)
    invoice = collection.bill(account, draft)
    subscription["latest_invoice"] = invoice["id"]
    collection.proceed(account, invoice)


def _bill_resumption(account: Account, subscription: Document) -> Document:
    """The invoice of the periods that begin now."""
    closes = period_of(items_of(subscription)[0])
    change = worked_out(account, subscription, Wanted([], account.now(), prorates=False, restarts=True))
    set_items(account, subscription, change.items)
    subscription["billing_cycle_anchor"] = change.anchor
    draft = renewals.draft_of(account, subscription, change.full, "subscription_cycle", closes)
    invoice = collection.bill(account, draft)
    subscription["latest_invoice"] = invoice["id"]
    renewals.use_discounts(account, subscription)
    return invoice
