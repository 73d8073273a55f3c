"""Checkout Sessions for subscriptions, as requests see them. What the customer does on the page is in `checkout`."""

from dataclasses import replace
from typing import Any, Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing import ends
from infra.local.emulators.stripe_server.billing.beginnings import Beginning, Checked, check_address, checked
from infra.local.emulators.stripe_server.billing.blank import made, shaped
from infra.local.emulators.stripe_server.billing.lines import PricedLine
from infra.local.emulators.stripe_server.billing.subscriptions import automatic_tax, trial_end
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import StripeError, invalid, missing_parameter, not_done, require_done
from infra.local.emulators.stripe_server.lists import listed, page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

KIND: Final = "checkout.session"
_LIFE: Final = (30 * 60, 24 * 3600)
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")
_METHODS: Final = ("allowed_payment_method_types", "excluded_payment_method_types")
_TEXTS: Final = ("cancel_url", "client_reference_id", "locale", "billing_address_collection")
_SWITCHES: Final = ("allow_promotion_codes", "payment_method_collection", "customer_update", "tax_id_collection")
_WHAT: Final = ("mode", "customer", "line_items", "currency", "discounts", "automatic_tax", "subscription_data")
_DATA: Final = frozenset(
    "billing_mode metadata description trial_end trial_period_days trial_settings billing_cycle_anchor".split()
)


@operation(
    *("POST", "/v1/checkout/sessions"),
    required=("mode", "line_items", "success_url"),
    exclusive=(("allow_promotion_codes", "discounts"), _METHODS),
    takes=(*_WHAT, *_METHODS, *_TEXTS, *_SWITCHES, "success_url", "expires_at", "metadata", "ui_mode"),
)
def create(call: Call) -> Document:
    """An open session with a page to pay on. Raises `StripeError` for what could not begin."""
    account, given = call.account, call.params
    _check(given)
    customer = account.objects.get("customer", given["customer"], "customer")
    beginning = _beginning(account, customer, given)
    found = checked(account, beginning)
    session_id = account.new_id("cs_test")
    expires_at = _expiry(account, given)
    session = made(
        account,
        KIND,
        "cs_test",
        id=session_id,
        **_amounts(found),
        automatic_tax=_automatic_tax(beginning),
        currency=found.currency,
        custom_fields=[],
        custom_text=dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        customer=customer["id"],
        discounts=[_discount(each) for each in beginning.discounts],
        expires_at=expires_at,
        metadata=dict(given.get("metadata") or {}),
        mode="subscription",
        payment_method_collection=given.get("payment_method_collection", "always"),
        payment_method_types=_types(found.currency, given),
        payment_status="unpaid",
        shipping_options=[],
        status="open",
        success_url=given["success_url"],
        ui_mode="hosted_page",
        url=f"{account.origin}/c/pay/{session_id}",
        _beginning=beginning,
        _checked=found,
        _subscription=None,
        _trial_days=given.get("subscription_data", {}).get("trial_period_days"),
        _saves_address=(given.get("customer_update") or {}).get("address") == "auto",
    )
    update(session, given, *_TEXTS, *_METHODS, "allow_promotion_codes")
    account.clock.at(expires_at, lambda: end(account, session), name=f"session:{session_id}")
    return session


@operation("GET", "/v1/checkout/sessions/{session}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get(KIND, call.id)


@operation("GET", "/v1/checkout/sessions", takes=("customer", "status", "subscription", *_PAGED))
def index(call: Call) -> Document:
    """Newest first."""
    fields = {name: call.params[name] for name in ("customer", "status", "subscription") if name in call.params}
    return page(call, call.account.objects.find(KIND, lambda each: all(each[name] == fields[name] for name in fields)))


@operation("POST", "/v1/checkout/sessions/{session}/expire")
def expire(call: Call) -> Document:
    """Nobody can pay with it any more. Raises `StripeError` for one that is not open."""
    session = call.account.objects.get(KIND, call.id)
    if session["status"] != "open":
        message = f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.'
        raise invalid(message)
    end(call.account, session)
    return session


def end(account: Account, session: Document) -> None:
    """An open session is over, and with it what it began but nobody paid for."""
    if session["status"] != "open":
        return
    account.clock.cancel(f"session:{session['id']}")
    session |= {"status": "expired", "url": None}
    subscription = account.objects.maybe(session["_subscription"])
    if subscription and subscription["status"] == "incomplete":
        ends.end(account, subscription)
    account.emit("checkout.session.expired", session)


def reprice(account: Account, session: Document, beginning: Beginning) -> None:
    """The session is about something else now: a code or an address was given on its page. Raises `StripeError`."""
    found = checked(account, beginning)
    session |= {"_beginning": beginning, "_checked": found}
    session |= _amounts(found) | {"discounts": [_discount(each) for each in beginning.discounts]}


def ready(account: Account, session: Document) -> Checked:
    """What the session is about, checked anew; its trial begins now. Raises `StripeError`."""
    beginning: Beginning = session["_beginning"]
    if days := session["_trial_days"]:
        beginning = replace(beginning, trial_end=account.now() + days * 86_400)
    return checked(account, beginning)


def line_items_of(account: Account, session: Document) -> Document:
    """The field `line_items`, which is shown on demand alone."""
    found: Checked = account.objects.get(KIND, session["id"])["_checked"]
    pairs = zip(found.totals.lines, found.items, strict=True)
    lines = [_line_item(account, line, item, found.currency) for line, item in pairs]
    return listed(f"/v1/checkout/sessions/{session['id']}/line_items", lines)


def _line_item(account: Account, priced_line: PricedLine, item: Document, currency: str) -> Document:
    return shaped(
        account,
        "item",
        item["id"].replace("si_", "li_"),
        amount_discount=priced_line.reduced,
        amount_subtotal=priced_line.line.amount,
        amount_tax=priced_line.tax.amount if priced_line.tax else 0,
        amount_total=priced_line.total,
        currency=currency,
        description=priced_line.line.description,
        price=item["price"],
        quantity=item["quantity"],
    )


def _check(given: dict[str, Any]) -> None:
    """What Stripe knows and this server does not do is said, as is what Stripe asks for."""
    if given["mode"] != "subscription":
        raise not_done("mode")
    if given.get("ui_mode", "hosted_page") != "hosted_page":
        raise not_done("ui_mode")
    if "customer" not in given:
        raise invalid("Stripe makes a customer where none is given; this server does not do it yet.", "customer")
    data = given.get("subscription_data", {})
    require_done(data, _DATA, "subscription_data")
    if data.get("billing_mode", {}).get("type", "flexible") != "flexible":
        raise not_done("subscription_data[billing_mode][type]")
    for place, item in enumerate(given["line_items"]):
        require_done(item, ("price", "quantity", "metadata"), f"line_items[{place}]")
        if "price" not in item:
            raise missing_parameter(f"line_items[{place}][price]")
        if "quantity" not in item:
            raise invalid("Quantity is required.", f"line_items[{place}][quantity]")


def _beginning(account: Account, customer: Document, given: dict[str, Any]) -> Beginning:
    data = given.get("subscription_data", {})
    tax = automatic_tax(given.get("automatic_tax", {}))
    if tax["enabled"] and (given.get("customer_update") or {}).get("address") != "auto":
        check_address(customer)
    fields = {"metadata": dict(data.get("metadata") or {}), "description": data.get("description")}
    fields |= {"automatic_tax": tax}
    if "trial_settings" in data:
        fields["trial_settings"] = data["trial_settings"]
    beginning = Beginning(customer, given["line_items"], given.get("currency"), fields=fields)
    return replace(
        beginning,
        discounts=given.get("discounts") or (),
        trial_end=trial_end(account, data),
        anchor=data.get("billing_cycle_anchor"),
    )


def _expiry(account: Account, given: dict[str, Any]) -> int:
    at = given.get("expires_at", account.now() + _LIFE[1])
    if not account.now() + _LIFE[0] <= at <= account.now() + _LIFE[1]:
        raise invalid("The `expires_at` timestamp must be 30 minutes to 24 hours from now.", "expires_at")
    return int(at)


def _amounts(ready_now: Checked) -> dict[str, Any]:
    totals = ready_now.totals
    details = {"amount_discount": sum(totals.reductions.values()), "amount_shipping": 0, "amount_tax": totals.tax}
    return {"amount_subtotal": totals.subtotal, "amount_total": totals.total, "total_details": details}


def _automatic_tax(beginning: Beginning) -> Document:
    if not beginning.is_taxed:
        return {"enabled": False, "liability": None, "provider": None, "status": None}
    known = bool((beginning.customer["address"] or {}).get("country"))
    status = "complete" if known else "requires_location_inputs"
    return {"enabled": True, "liability": {"type": "self"}, "provider": "stripe", "status": status}


def _types(currency: str, given: dict[str, Any]) -> list[str]:
    """What can be paid with: what the currency allows, and of that what was asked for."""
    debit = {"eur": ["sepa_debit"], "usd": ["us_bank_account"], "gbp": ["bacs_debit"]}.get(currency, [])
    known = ["card", "link", "paypal", *debit]
    allowed = given.get("allowed_payment_method_types", known)
    found = [each for each in known if each in allowed and each not in given.get("excluded_payment_method_types", ())]
    if not found:
        message = f"No valid payment method types for this Checkout Session in {currency}."
        raise StripeError(400, "invalid_request_error", None, message, "allowed_payment_method_types")
    return found


def _discount(given: Document) -> Document:
    return {"coupon": given.get("coupon"), "promotion_code": given.get("promotion_code")}
