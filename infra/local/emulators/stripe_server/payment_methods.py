"""Payment methods: cards, bank debits and wallets of `cards`."""

import hashlib
from typing import Any, Final

from infra.local.emulators.stripe_server import cards
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.cards import TestMethod
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import (
    StripeError,
    card_declined,
    invalid,
    missing_parameter,
    resource_missing,
)
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_TYPES: Final = ("card", "sepa_debit", *cards.OTHERS)
_NO_ADDRESS: Final = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
_PAGED: Final = ("limit", "starting_after", "ending_before", "type")


@operation("POST", "/v1/payment_methods", required=("type",), takes=("type", *_TYPES, "billing_details", "metadata"))
def create(call: Call) -> Document:
    """A method that belongs to nobody yet. Raises `StripeError` 402 for a number that no card has."""
    kind = call.params["type"]
    given = call.params.get(kind)
    if given is None:
        raise missing_parameter(kind)
    method = make(call.account, _test_method(kind, given))
    update(method["billing_details"], call.params.get("billing_details", {}), *method["billing_details"])
    update(method, call.params)
    return method


@operation("GET", "/v1/payment_methods/{payment_method}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("payment_method", call.id)


@operation("POST", "/v1/payment_methods/{payment_method}/attach", required=("customer",), takes=("customer",))
def attach_to(call: Call) -> Document:
    """Save it for a customer."""
    method = resolve(call.account, call.id)
    customer = call.account.objects.get("customer", call.params["customer"], "customer")
    return attach(call.account, method, customer["id"])


@operation("POST", "/v1/payment_methods/{payment_method}/detach")
def detach(call: Call) -> Document:
    """The customer does not want it any more; it is nobody's default from then on, and cannot be used again."""
    account, method = call.account, call.account.objects.get("payment_method", call.id)
    if method["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
    for customer in account.objects.find("customer", lambda each: each["id"] == method["customer"]):
        with account.changing(customer, "customer.updated"):
            _forget(customer["invoice_settings"], method["id"])
    for subscription in account.objects.find("subscription"):
        with account.changing(subscription, "customer.subscription.updated"):
            _forget(subscription, method["id"])
    with account.changing(method, "payment_method.detached"):
        method["customer"], method["_is_spent"] = None, True
    return method


@operation("GET", "/v1/payment_methods", required=("customer",), takes=("customer", *_PAGED))
def index(call: Call) -> Document:
    """Those of a customer, newest first."""
    return _of_customer(call, call.params["customer"])


@operation("GET", "/v1/customers/{customer}/payment_methods", takes=_PAGED)
def index_of_customer(call: Call) -> Document:
    """Those of a customer, newest first."""
    return _of_customer(call, call.id)


@operation("GET", "/v1/customers/{customer}/payment_methods/{payment_method}")
def retrieve_of_customer(call: Call) -> Document:
    """One of a customer's."""
    method = call.account.objects.get("payment_method", call.ids[1])
    if method["customer"] != call.id:
        raise resource_missing("payment_method", method["id"])
    return method


def resolve(account: Account, method_id: str, param: str = "payment_method") -> Document:
    """The stored method with an id; `pm_card_…` makes a new one at each use. Raises `resource_missing`."""
    test = cards.by_name(method_id)
    return make(account, test) if test else account.objects.get("payment_method", method_id, param)


def make(account: Account, test: TestMethod) -> Document:
    """A new method that behaves like a test method."""
    billing = {"address": dict(_NO_ADDRESS), "email": None, "name": None, "phone": None, "tax_id": None}
    return account.make(
        "payment_method",
        "pm",
        allow_redisplay="unspecified",
        billing_details=billing,
        customer=None,
        type=test.type,
        **{test.type: _details(account, test)},
        _number=test.number,
        _is_set_up=False,
        _is_spent=False,
    )


def attach(account: Account, method: Document, customer_id: str) -> Document:
    """Save a method for a customer; nothing if it is theirs. Raises `StripeError`: 402 when the bank says no, 400 when
    it is somebody else's or was detached."""
    if method["customer"] == customer_id:
        return method
    require_attachable(method)
    method["customer"] = customer_id
    account.emit("payment_method.attached", method)
    return method


def require_attachable(method: Document) -> None:
    """Raises `StripeError` when a method cannot become a customer's: see `attach`."""
    if method["customer"] is not None:
        raise invalid("The payment method you provided has already been attached to a customer.", "payment_method")
    if method["_is_spent"]:
        message = "The provided PaymentMethod was detached from a Customer, and may not be used again."
        raise invalid(message, "payment_method")
    require_savable(method)


def require_savable(method: Document) -> None:
    """Raises `StripeError` 402 when the bank says no to keeping a method."""
    behaviour = cards.behaviour(method)
    if behaviour.refuses_saving and behaviour.decline_code:
        raise card_declined(behaviour.decline_code)


def _of_customer(call: Call, customer_id: str) -> Document:
    call.account.objects.get("customer", customer_id, "customer")
    kind = call.params.get("type")

    def fits(method: Document) -> bool:
        return method["customer"] == customer_id and kind in (None, method["type"])

    return page(call, call.account.objects.find("payment_method", fits))


def _forget(holder: Document, method_id: str) -> None:
    if holder["default_payment_method"] == method_id:
        holder["default_payment_method"] = None


def _test_method(kind: str, given: Document) -> TestMethod:
    if kind in cards.OTHERS:
        return cards.OTHERS[kind]
    number = given.get("iban") if kind == "sepa_debit" else given.get("number")
    found = cards.by_number(number or "") or cards.by_name(given.get("token", ""))
    if found is None or found.type != kind:
        code, param = ("invalid_iban", "iban") if kind == "sepa_debit" else ("incorrect_number", "number")
        raise StripeError(402, "card_error", code, "The number is incorrect.", f"{kind}[{param}]")
    return found


def _details(account: Account, test: TestMethod) -> dict[str, Any]:
    """What is shown of a method."""
    fingerprint = hashlib.sha256(f"{account.key} {test.number}".encode()).hexdigest()[:16]
    match test.type:
        case "card":
            return _card(test) | {"fingerprint": fingerprint}
        case "sepa_debit":
            codes = {"bank_code": test.number[4:12], "branch_code": "", "country": test.number[:2]}
            nothing = {"charge": None, "setup_attempt": None}
            return codes | {"fingerprint": fingerprint, "generated_from": nothing, "last4": test.last4}
        case "us_bank_account":
            return _us_bank_account(test) | {"fingerprint": fingerprint}
        case "bacs_debit":
            return {"fingerprint": fingerprint, "last4": test.last4, "sort_code": "108800"}
        case "link":
            return {"email": None}
        case _:
            return {"country": "DE", "payer_email": None, "payer_id": None}


def _card(test: TestMethod) -> dict[str, Any]:
    return {
        "brand": test.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": test.brand,
        "exp_month": 12,
        "exp_year": 2040,
        "funding": "credit",
        "generated_from": None,
        "last4": test.last4,
        "networks": {"available": [test.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _us_bank_account(test: TestMethod) -> dict[str, Any]:
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "last4": test.last4,
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }
