"""Setup intents: a method is kept for later, with the customer's authentication where the bank wants one."""

from typing import Final

from infra.local.emulators.stripe_server import cards, payment_methods
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.documents import public, update
from infra.local.emulators.stripe_server.errors import StripeError, invalid
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_KIND: Final = "setup_intent"
_METHOD: Final = ("payment_method", "return_url")
_GIVEN: Final = ("customer", "description", "usage", "metadata", "automatic_payment_methods")
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")


@operation("POST", "/v1/setup_intents", takes=("confirm", *_METHOD, *_GIVEN))
def create(call: Call) -> Document:
    """An intent; confirmed at once if asked for. Raises `StripeError` 402 when the bank says no then."""
    given, account = call.params, call.account
    if "customer" in given:
        account.objects.get("customer", given["customer"], "customer")
    method = _method(account, given, given.get("customer"))
    intent = make(account, given.get("customer"))
    update(intent, given, "description", "usage")
    _choose(intent, method)
    return _confirm(account, intent, given) if given.get("confirm") else intent


@operation("GET", "/v1/setup_intents/{intent}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get(_KIND, call.id)


@operation("POST", "/v1/setup_intents/{intent}/confirm", takes=_METHOD)
def confirm(call: Call) -> Document:
    """Keep the method, or ask the customer to authenticate. Raises `StripeError` 402 when the bank says no."""
    intent = call.account.objects.get(_KIND, call.id)
    if intent["status"] in ("succeeded", "canceled"):
        raise _wrong_state(intent)
    _choose(intent, _method(call.account, call.params, intent["customer"]))
    return _confirm(call.account, intent, call.params)


@operation("GET", "/v1/setup_intents", takes=("customer", "payment_method", *_PAGED))
def index(call: Call) -> Document:
    """Newest first."""
    fields = {name: call.params[name] for name in ("customer", "payment_method") if name in call.params}
    found = call.account.objects.find(_KIND, lambda each: all(each[name] == fields[name] for name in fields))
    return page(call, found)


def make(account: Account, customer_id: str | None) -> Document:
    """A new intent, which wants a method."""
    intent = account.make(
        _KIND,
        "seti",
        application=None,
        automatic_payment_methods={"allow_redirects": "always", "enabled": True},
        cancellation_reason=None,
        client_secret=None,
        customer=customer_id,
        description=None,
        last_setup_error=None,
        latest_attempt=None,
        mandate=None,
        next_action=None,
        on_behalf_of=None,
        payment_method=None,
        payment_method_options={},
        payment_method_types=["card", "sepa_debit", "link", "paypal"],
        single_use_mandate=None,
        status="requires_payment_method",
        usage="off_session",
    )
    intent["client_secret"] = f"{intent['id']}_secret_{account.new_id('x')[2:]}"
    account.emit("setup_intent.created", intent)
    return intent


def authenticated(account: Account, intent: Document, *, success: bool) -> None:
    """What the customer did on the bank's page. Raises `StripeError` when nothing was asked of them."""
    if intent["status"] != "requires_action":
        raise _wrong_state(intent)
    method = account.objects.get("payment_method", intent["payment_method"])
    if success:
        _succeed(account, intent, method)
    else:
        message = "We are unable to authenticate your payment method. Please choose a different one and try again."
        _fail(account, intent, StripeError(402, "card_error", "setup_intent_authentication_failure", message))


def _method(account: Account, given: Document, customer_id: str | None) -> Document | None:
    """The method that is to be kept, if one is named. Raises `StripeError` for somebody else's."""
    if "payment_method" not in given:
        return None
    method = payment_methods.resolve(account, given["payment_method"])
    if method["customer"] not in (None, customer_id):
        raise invalid("The provided PaymentMethod belongs to another Customer.", "payment_method")
    return method


def _choose(intent: Document, method: Document | None) -> None:
    if method:
        intent["payment_method"], intent["status"] = method["id"], "requires_confirmation"


def _confirm(account: Account, intent: Document, given: Document) -> Document:
    if intent["payment_method"] is None:
        message = "You cannot confirm this SetupIntent because it's missing a payment method."
        raise invalid(message, code="setup_intent_unexpected_state")
    method = account.objects.get("payment_method", intent["payment_method"])
    try:
        payment_methods.require_savable(method)
    except StripeError as error:
        _fail(account, intent, error)
        error.more["setup_intent"] = public(intent)
        raise
    if cards.behaviour(method).authentication == "never":
        _succeed(account, intent, method)
    else:
        intent["status"] = "requires_action"
        url = f"{account.origin}/authenticate/{intent['id']}"
        redirect = {"return_url": given.get("return_url"), "url": url}
        intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": redirect}
        account.emit("setup_intent.requires_action", intent)
    return intent


def _succeed(account: Account, intent: Document, method: Document) -> None:
    if intent["customer"]:
        payment_methods.attach(account, method, intent["customer"])
    method["_is_set_up"] = True
    intent |= {"status": "succeeded", "next_action": None, "last_setup_error": None}
    account.emit("setup_intent.succeeded", intent)


def _fail(account: Account, intent: Document, error: StripeError) -> None:
    intent |= {"status": "requires_payment_method", "next_action": None, "payment_method": None}
    intent["last_setup_error"] = error.body()["error"]
    account.emit("setup_intent.setup_failed", intent)


def _wrong_state(intent: Document) -> StripeError:
    message = f"You cannot do this to a SetupIntent that has the status {intent['status']}."
    return invalid(message, code="setup_intent_unexpected_state")
