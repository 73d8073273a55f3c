"""Customers."""

from collections.abc import Callable

from infra.local.emulators.stripe_server import payment_methods, test_clocks
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import ends
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.lists import listed, page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_TEXTS = ("address", "business_name", "description", "email", "individual_name", "name", "phone", "shipping")
_UPDATABLE = (*_TEXTS, "balance", "preferred_locales", "tax_exempt")
_TAKEN = (*_UPDATABLE, "invoice_settings", "metadata", "tax")
_PAGED = ("limit", "starting_after", "ending_before", "created")


@operation("POST", "/v1/customers", takes=(*_TAKEN, "payment_method", "test_clock"))
def create(call: Call) -> Document:
    """A customer, with a payment method if one is given. Raises `StripeError` 402 when the bank says no to that."""
    given, account = call.params, call.account
    method = payment_methods.resolve(account, given["payment_method"]) if "payment_method" in given else None
    if method:
        payment_methods.require_attachable(method)
    _require_own(account, given, lambda each: each is method)
    if "test_clock" in given:
        account.objects.get("test_helpers.test_clock", given["test_clock"], "test_clock")
    customer = account.make(
        "customer",
        "cus",
        **dict.fromkeys(_TEXTS),
        balance=0,
        currency=None,
        default_source=None,
        delinquent=False,
        discount=None,
        invoice_prefix=account.new_id("x")[2:10].upper(),
        invoice_settings={
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
        test_clock=test_clocks.of_newcomer(account, given.get("test_clock")),
        _tax={},
    )
    _set(customer, given)
    account.emit("customer.created", customer)
    if method:
        payment_methods.attach(account, method, customer["id"])
    return customer


@operation("GET", "/v1/customers/{customer}")
def retrieve(call: Call) -> Document:
    """A customer; of a deleted one, that it is."""
    if call.account.objects.was_deleted("customer", call.id):
        return _tombstone(call.id)
    return call.account.objects.get("customer", call.id)


@operation("POST", "/v1/customers/{customer}", takes=_TAKEN)
def change(call: Call) -> Document:
    """Change it."""
    customer = call.account.objects.get("customer", call.id)
    _require_own(call.account, call.params, lambda each: each["customer"] == customer["id"])
    with call.account.changing(customer, "customer.updated"):
        _set(customer, call.params)
    return customer


@operation("DELETE", "/v1/customers/{customer}")
def delete(call: Call) -> Document:
    """Delete it for good, and end what it has subscribed to."""
    ends.end_all(call.account, call.id)
    call.account.emit("customer.deleted", call.account.objects.delete("customer", call.id))
    return _tombstone(call.id)


@operation("GET", "/v1/customers", takes=("email", *_PAGED))
def index(call: Call) -> Document:
    """Newest first, by `email` if given."""
    email = call.params.get("email")
    return page(call, call.account.objects.find("customer", lambda each: email in (None, each["email"])))


def tax(_: Account, customer: Document) -> Document:
    """Whether automatic tax can be computed for a customer: their country is known by address. A field that is shown on
    demand alone."""
    country = (customer["address"] or {}).get("country")
    location = {"country": country, "source": "billing_address", "state": None} if country else None
    about = {"automatic_tax": "supported" if country else "unrecognized_location", "location": location}
    return about | {"ip_address": customer["_tax"].get("ip_address"), "provider": "stripe"}


def subscriptions(account: Account, customer: Document) -> Document:
    """Those that have not ended. A field that is shown on demand alone."""

    def runs(subscription: Document) -> bool:
        is_over = subscription["status"] in ("canceled", "incomplete_expired")
        return subscription["customer"] == customer["id"] and not is_over

    return listed(f"/v1/customers/{customer['id']}/subscriptions", account.objects.find("subscription", runs))


def _tombstone(customer_id: str) -> Document:
    return {"id": customer_id, "object": "customer", "deleted": True}


def _require_own(account: Account, given: Document, is_own: Callable[[Document], bool]) -> None:
    """Raises `StripeError` when the default that is asked for is no method of the customer."""
    param = "invoice_settings[default_payment_method]"
    default = (given.get("invoice_settings") or {}).get("default_payment_method")
    if default and not is_own(account.objects.get("payment_method", default, param)):
        message = f"The customer does not have a payment method with the ID {default}: it must be attached to them."
        raise invalid(message, param, "resource_missing")


def _set(customer: Document, given: Document) -> None:
    update(customer, given, *_UPDATABLE)
    update(customer["invoice_settings"], given.get("invoice_settings") or {}, *customer["invoice_settings"])
    customer["_tax"] |= given.get("tax", {})
