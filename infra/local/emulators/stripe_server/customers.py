"""Customers."""

from infra.local.emulators.stripe_server import test_clocks
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import ends
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_TEXTS = ("address", "business_name", "description", "email", "individual_name", "name", "phone", "shipping")
_UPDATABLE = (*_TEXTS, "balance", "preferred_locales", "tax_exempt")


@operation("POST", "/v1/customers")
def create(call: Call) -> Document:
    """A customer."""
    customer = call.account.make(
        "customer",
        "cus",
        **dict.fromkeys(_TEXTS),
        balance=0,
        currency=None,
        default_source=None,
        delinquent=False,
        discount=None,
        invoice_prefix=call.account.new_id("x")[2:10].upper(),
        invoice_settings={
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
        test_clock=test_clocks.of_newcomer(call.account, call.params.get("test_clock")),
    )
    _set(call.account, customer, call.params)
    call.account.emit("customer.created", customer)
    return customer


@operation("GET", "/v1/customers/{customer}")
def retrieve(call: Call) -> Document:
    """A customer; of a deleted one, that it is."""
    if call.account.objects.was_deleted("customer", call.id):
        return _tombstone(call.id)
    return call.account.objects.get("customer", call.id)


@operation("POST", "/v1/customers/{customer}")
def change(call: Call) -> Document:
    """Change it."""
    customer = call.account.objects.get("customer", call.id)
    with call.account.changing(customer, "customer.updated"):
        _set(call.account, customer, call.params)
    return customer


@operation("DELETE", "/v1/customers/{customer}")
def delete(call: Call) -> Document:
    """Delete it for good, and end what it has subscribed to."""
    ends.end_all(call.account, call.id)
    call.account.emit("customer.deleted", call.account.objects.delete("customer", call.id))
    return _tombstone(call.id)


@operation("GET", "/v1/customers")
def index(call: Call) -> Document:
    """Newest first, by `email` if given."""
    email = call.params.get("email")
    return page(call, call.account.objects.find("customer", lambda each: email in (None, each["email"])))


def _tombstone(customer_id: str) -> Document:
    return {"id": customer_id, "object": "customer", "deleted": True}


def _set(account: Account, customer: Document, given: Document) -> None:
    update(customer, given, *_UPDATABLE)
    settings = given.get("invoice_settings") or {}
    if default := settings.get("default_payment_method"):
        method = account.objects.get("payment_method", default, "invoice_settings[default_payment_method]")
        if method["customer"] != customer["id"]:
            raise invalid(
                f"The customer does not have a payment method with the ID {default}. The payment method must be "
                "attached to the customer.",
                "invoice_settings[default_payment_method]",
                "resource_missing",
            )
    update(customer["invoice_settings"], settings, *customer["invoice_settings"])
