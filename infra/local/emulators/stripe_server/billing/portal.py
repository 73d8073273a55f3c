"""What a customer does in the portal: cancel, go on, another card, another plan, pay what is open.

Each is refused (`StripeError`) unless the session's configuration allows it.
"""

from infra.local.emulators.stripe_server import payment_methods
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import collection, ends, invoices, renewals, updates
from infra.local.emulators.stripe_server.billing.portal_sessions import features_of
from infra.local.emulators.stripe_server.billing.subscription_documents import items_of
from infra.local.emulators.stripe_server.errors import StripeError, invalid
from infra.local.emulators.stripe_server.objects import Document

_OVER = ("canceled", "incomplete_expired")


def subscriptions_of(account: Account, session: Document) -> list[Document]:
    """What the customer has, newest first."""
    customer = session["customer"]
    return account.objects.find(
        "subscription", lambda each: each["customer"] == customer and each["status"] not in _OVER
    )


def invoices_of(account: Account, session: Document) -> list[Document]:
    """The customer's invoices without drafts, newest first."""
    customer = session["customer"]
    return account.objects.find("invoice", lambda each: each["customer"] == customer and each["status"] != "draft")


def plans_of(account: Account, session: Document) -> list[Document]:
    """The prices that the customer may change to."""
    products = features_of(account, session)["subscription_update"]["products"] or ()
    found = (account.objects.maybe(price) for each in products for price in each["prices"])
    return [each for each in found if each and each["active"]]


def cancel(account: Account, session: Document, subscription_id: str) -> None:
    """At the period's end, which shows as `cancel_at` alone, or at once, as the configuration says."""
    feature = _feature(account, session, "subscription_cancel")
    subscription = _own(account, session, subscription_id)
    if feature["mode"] == "immediately":
        ends.end(account, subscription)
        return
    with account.changing(subscription, "customer.subscription.updated"):
        ends.schedule(account, subscription, {"cancel_at": "min_period_end"})
    renewals.plan(account, subscription)


def go_on(account: Account, session: Document, subscription_id: str) -> None:
    """The end that was set is taken back."""
    subscription = _own(account, session, subscription_id)
    with account.changing(subscription, "customer.subscription.updated"):
        ends.schedule(account, subscription, {"cancel_at": "", "cancel_at_period_end": False})
    renewals.plan(account, subscription)


def use_method(account: Account, session: Document, method: Document) -> None:
    """Another method: the customer's default, and that of every subscription that has its own."""
    _feature(account, session, "payment_method_update")
    payment_methods.attach(account, method, session["customer"])
    method["_is_set_up"] = True
    customer = account.objects.get("customer", session["customer"])
    with account.changing(customer, "customer.updated"):
        customer["invoice_settings"]["default_payment_method"] = method["id"]
    for subscription in subscriptions_of(account, session):
        if subscription["default_payment_method"]:
            with account.changing(subscription, "customer.subscription.updated"):
                subscription["default_payment_method"] = method["id"]


def change_plan(account: Account, session: Document, subscription_id: str, price_id: str) -> None:
    """Another price, prorated as the configuration says; a change that costs something is made once that is paid."""
    feature = _feature(account, session, "subscription_update")
    if price_id not in [each["id"] for each in plans_of(account, session)]:
        raise invalid("This plan is not offered.", "price")
    subscription = _own(account, session, subscription_id)
    item = items_of(subscription)[0]
    given = {"items": [{"id": item["id"], "price": price_id, "quantity": item["quantity"]}]}
    behavior = {"proration_behavior": feature["proration_behavior"], "payment_behavior": "pending_if_incomplete"}
    updates.apply(account, subscription, given | behavior)


def pay(account: Account, invoice: Document, method: Document) -> None:
    """An open invoice, with a method that is kept. Raises `StripeError` 402 for a decline."""
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(f"This invoice is {invoice['status']}.")
    if invoices.is_processing(account, invoice):
        raise invalid("A payment of this invoice is on its way.")
    payment_methods.attach(account, method, invoice["customer"])
    collection.collect(account, invoice, method, is_retry=False)
    if invoice["status"] != "paid" and not invoices.is_processing(account, invoice):
        raise collection.refusal(account, invoice)


def _feature(account: Account, session: Document, name: str) -> Document:
    feature: Document = features_of(account, session)[name]
    if not feature["enabled"]:
        raise StripeError(400, "invalid_request_error", None, f"The portal is not configured for this: {name}.")
    return feature


def _own(account: Account, session: Document, subscription_id: str) -> Document:
    subscription = account.objects.get("subscription", subscription_id)
    if subscription["customer"] != session["customer"]:
        raise invalid("This subscription belongs to another customer.")
    return subscription
