"""The customer portal as requests see it: configurations say what customers may do, and sessions open it."""

from copy import deepcopy
from typing import Any, Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.blank import made
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import invalid, not_done
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

SESSION: Final = "billing_portal.session"
_CONFIGURATION: Final = "billing_portal.configuration"
_PAGED: Final = ("limit", "starting_after", "ending_before")
_GIVEN: Final = ("features", "business_profile", "default_return_url", "metadata", "name", "login_page")
_FLOWS: Final = ("payment_method_update", "subscription_cancel", "subscription_update", "subscription_update_confirm")
_FEATURES: Final[Document] = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
    "subscription_update": {
        "billing_cycle_anchor": "unchanged",
        "default_allowed_updates": [],
        "enabled": False,
        "products": [],
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


@operation("POST", "/v1/billing_portal/configurations", takes=_GIVEN)
def create_configuration(call: Call) -> Document:
    """What customers may do; the first one is the default."""
    configuration = _configuration(call.account)
    _set(configuration, call.params)
    call.account.emit("billing_portal.configuration.created", configuration)
    return configuration


@operation("POST", "/v1/billing_portal/configurations/{configuration}", takes=("active", *_GIVEN))
def change_configuration(call: Call) -> Document:
    """Change it."""
    configuration = call.account.objects.get(_CONFIGURATION, call.id)
    with call.account.changing(configuration, "billing_portal.configuration.updated"):
        _set(configuration, call.params)
        configuration["updated"] = call.account.now()
    return configuration


@operation("GET", "/v1/billing_portal/configurations/{configuration}")
def retrieve_configuration(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get(_CONFIGURATION, call.id)


@operation("GET", "/v1/billing_portal/configurations", takes=("active", "is_default", *_PAGED))
def configurations(call: Call) -> Document:
    """Newest first."""
    fields = {name: call.params[name] for name in ("active", "is_default") if name in call.params}
    found = call.account.objects.find(_CONFIGURATION, lambda each: all(each[name] == fields[name] for name in fields))
    return page(call, found)


@operation(
    *("POST", "/v1/billing_portal/sessions"),
    required=("customer",),
    takes=("customer", "return_url", "configuration", "flow_data", "locale"),
)
def create_session(call: Call) -> Document:
    """A page for one customer. Raises `StripeError` where no configuration was made."""
    account, given = call.account, call.params
    customer = account.objects.get("customer", given["customer"], "customer")
    configuration = _chosen(account, given.get("configuration"))
    session_id = account.new_id("bps")
    session = made(
        account,
        SESSION,
        "bps",
        id=session_id,
        configuration=configuration["id"],
        customer=customer["id"],
        flow=_flow(account, given["flow_data"]) if "flow_data" in given else None,
        return_url=given.get("return_url") or configuration["default_return_url"],
        url=f"{account.origin}/p/session/{session_id}",
    )
    update(session, given, "locale")
    account.emit("billing_portal.session.created", session)
    return session


def features_of(account: Account, session: Document) -> Document:
    """What the customer of a session may do."""
    features: Document = account.objects.get(_CONFIGURATION, session["configuration"])["features"]
    return features


def _configuration(account: Account) -> Document:
    return made(
        account,
        _CONFIGURATION,
        "bpc",
        active=True,
        business_profile=dict.fromkeys(("headline", "privacy_policy_url", "terms_of_service_url")),
        features=deepcopy(_FEATURES),
        is_default=not account.objects.find(_CONFIGURATION),
        login_page={"enabled": False, "url": None},
        updated=account.now(),
    )


def _set(configuration: Document, given: dict[str, Any]) -> None:
    update(configuration, given, "active", "default_return_url", "name")
    update(configuration["business_profile"], given.get("business_profile", {}), *configuration["business_profile"])
    for name, each in given.get("features", {}).items():
        _merge(configuration["features"][name], each)
    for product in configuration["features"]["subscription_update"]["products"] or ():
        quantity = {"enabled": False, "maximum": None, "minimum": 1}
        product["adjustable_quantity"] = quantity | product.get("adjustable_quantity", {})


def _merge(target: Document, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            _merge(target[name], value)
        else:
            target[name] = [] if value == "" else deepcopy(value)


def _chosen(account: Account, configuration_id: str | None) -> Document:
    if configuration_id:
        return account.objects.get(_CONFIGURATION, configuration_id, "configuration")
    found = account.objects.find(_CONFIGURATION, lambda each: bool(each["is_default"] and each["active"]))
    if not found:
        message = "No configuration provided and your test mode default configuration has not been created."
        raise invalid(message, "configuration")
    return found[0]


def _flow(account: Account, given: dict[str, Any]) -> Document:
    """One thing to do and nothing else. Raises `StripeError` for a flow that this server does not have."""
    kind = given["type"]
    if kind not in _FLOWS:
        raise not_done(f"flow_data[type]={kind}")
    if details := given.get(kind):
        account.objects.get("subscription", details["subscription"], f"flow_data[{kind}][subscription]")
    after = {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"}
    names = ("subscription_cancel", "subscription_update", "subscription_update_confirm")
    parts = {name: deepcopy(given.get(name)) for name in names}
    return {"after_completion": after | given.get("after_completion", {}), "type": kind, **parts}
