"""What an invoice would be: of a change that is billed at once, of the next period, or of a subscription to come.

Every number comes from the functions that make the invoice itself.
"""

from typing import Any, Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import renewals
from infra.local.emulators.stripe_server.billing.beginnings import Beginning, checked
from infra.local.emulators.stripe_server.billing.changes import Change, worked_out
from infra.local.emulators.stripe_server.billing.invoice_documents import Draft, composed
from infra.local.emulators.stripe_server.billing.periods import Period, period_at
from infra.local.emulators.stripe_server.billing.prices import interval_of
from infra.local.emulators.stripe_server.billing.subscription_documents import (
    items_of,
    line_of,
    period_end,
    period_of,
)
from infra.local.emulators.stripe_server.billing.subscriptions import automatic_tax, trial_end
from infra.local.emulators.stripe_server.billing.updates import draft_of_change, wanted_of
from infra.local.emulators.stripe_server.errors import StripeError, invalid, missing_parameter, require_done
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_OVER: Final = ("canceled", "incomplete_expired")
_DETAILS: Final = frozenset(
    "items proration_behavior proration_date billing_cycle_anchor trial_end cancel_at cancel_at_period_end".split()
)


@operation(
    *("POST", "/v1/invoices/create_preview"),
    takes=("customer", "subscription", "subscription_details", "currency", "discounts", "automatic_tax"),
)
def create_preview(call: Call) -> Document:
    """A draft that is stored nowhere. Raises `StripeError` 404 where there is nothing to come."""
    account, given = call.account, call.params
    details = given.get("subscription_details", {})
    require_done(details, _DETAILS, "subscription_details")
    if "subscription" in given:
        for name in given.keys() & {"discounts", "automatic_tax", "currency"}:
            raise invalid("This belongs to the subscription, which has one already.", name)
        subscription = account.objects.get("subscription", given["subscription"], "subscription")
        draft = _of_subscription(account, subscription, details)
    else:
        draft = _of_beginning(account, given, details)
    return composed(account, draft, account.new_id("upcoming_in"))


def _of_subscription(account: Account, subscription: Document, details: dict[str, Any]) -> Draft:
    """With a change that is billed at once, its invoice; otherwise that of the next period, the change included."""
    if subscription["status"] in _OVER:
        raise _nothing_to_come(subscription["id"])
    wanted = wanted_of(account, subscription, details)
    worked = worked_out(account, subscription, wanted) if wanted else None
    if worked and (worked.full or details.get("proration_behavior") == "always_invoice"):
        return draft_of_change(account, subscription, worked, details.get("proration_date"))
    return _of_next_period(account, subscription, worked, details)


def _of_next_period(account: Account, subscription: Document, worked: Change | None, details: dict[str, Any]) -> Draft:
    cancels = details.get("cancel_at_period_end") or details.get("cancel_at") or subscription["cancel_at"]
    if cancels and not subscription["_prorations"] and not worked:
        raise _nothing_to_come(subscription["id"])
    end, currency = period_end(subscription), subscription["currency"]
    items = worked.items if worked else items_of(subscription)
    due = [item for item in items if item["current_period_end"] == end]
    lines = [line_of(account, item, currency, _following(subscription, item)) for item in due]
    prorations = [*subscription["_prorations"], *(worked.prorations if worked else [])]
    found = [*prorations, *([] if cancels else lines)]
    at = details.get("proration_date")
    return renewals.draft_of(account, subscription, found, "upcoming", period_of(due[0]), at)


def _following(subscription: Document, item: Document) -> Period:
    return period_at(subscription["billing_cycle_anchor"], interval_of(item["price"]), item["current_period_end"])


def _of_beginning(account: Account, given: dict[str, Any], details: dict[str, Any]) -> Draft:
    """The first invoice of a subscription that does not exist."""
    for name, value in (("customer", given.get("customer")), ("subscription_details[items]", details.get("items"))):
        if not value:
            raise missing_parameter(name)
    customer = account.objects.get("customer", given["customer"], "customer")
    tax = automatic_tax(given.get("automatic_tax", {}))
    beginning = Beginning(
        customer=customer,
        items=details["items"],
        currency=given.get("currency"),
        discounts=given.get("discounts") or (),
        trial_end=trial_end(account, details),
        fields={"automatic_tax": tax},
    )
    ready = checked(account, beginning)
    to_come = {"id": "", "currency": ready.currency, "automatic_tax": tax, "metadata": {}}
    period = Period(account.now(), account.now())
    return Draft(customer, to_come, ready.lines, ready.reductions, "upcoming", period)


def _nothing_to_come(subscription: str) -> StripeError:
    message = f"No upcoming invoices for subscription: {subscription}"
    return StripeError(404, "invalid_request_error", "invoice_upcoming_none", message)
