"""Prices: per unit, one-time or recurring, in one currency and optionally in more (`currency_options`)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import invalid, missing_parameter, not_done
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_AMOUNTS: Final = ("unit_amount", "unit_amount_decimal")
_UPDATABLE: Final = ("active", "nickname")
_LOOKUP: Final = ("lookup_key", "transfer_lookup_key")
_CREATABLE: Final = (
    *_UPDATABLE,
    *_LOOKUP,
    *_AMOUNTS,
    "currency",
    "currency_options",
    "metadata",
    "product",
    "recurring",
)
_FILTERS: Final = ("active", "currency", "lookup_keys", "product", "recurring", "type")
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")
_LONGEST_KEY: Final = 200
_MOST_INTERVALS: Final = {"day": 1095, "week": 156, "month": 36, "year": 3}


@operation("POST", "/v1/prices", required=("product",), exclusive=(_AMOUNTS,), takes=(*_CREATABLE, "tax_behavior"))
def create(call: Call) -> Document:
    """A price; `transfer_lookup_key` takes the key from the price that has it."""
    given, account = call.params, call.account
    account.objects.get("product", given["product"], "product")
    currency, behaviour = given["currency"].lower(), given.get("tax_behavior", "unspecified")
    amounts = _amounts(given, "unit_amount")
    options, recurring = _options(given, behaviour), _recurring(given.get("recurring"))
    key = _take_lookup_key(account, given)
    price = account.make(
        "price",
        "price",
        **amounts,
        active=True,
        billing_scheme="per_unit",
        currency=currency,
        custom_unit_amount=None,
        lookup_key=key,
        nickname=None,
        product=given["product"],
        recurring=recurring,
        tax_behavior=behaviour,
        tiers_mode=None,
        transform_quantity=None,
        type="recurring" if recurring else "one_time",
        _currency_options={currency: _option(given, behaviour, "unit_amount"), **options},
    )
    update(price, given, *_UPDATABLE)
    account.emit("price.created", price)
    return price


@operation("GET", "/v1/prices/{price}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("price", call.id)


@operation("POST", "/v1/prices/{price}", takes=(*_UPDATABLE, *_LOOKUP, "metadata", "tax_behavior", "currency_options"))
def change(call: Call) -> Document:
    """Change what may be changed: amounts never, the tax behaviour once."""
    given, account, price = call.params, call.account, call.account.objects.get("price", call.id)
    if "tax_behavior" in given and price["tax_behavior"] not in ("unspecified", given["tax_behavior"]):
        raise invalid("tax_behavior cannot be changed once it is inclusive or exclusive.", "tax_behavior")
    options = _options(given, price["tax_behavior"])
    with account.changing(price, "price.updated"):
        if "lookup_key" in given:
            price["lookup_key"] = _take_lookup_key(account, given, price)
        update(price, given, "tax_behavior", *_UPDATABLE)
        price["_currency_options"] |= options
    return price


@operation("GET", "/v1/prices", takes=(*_FILTERS, *_PAGED))
def index(call: Call) -> Document:
    """Newest first."""
    given = call.params
    fields = {name: given[name] for name in ("active", "currency", "product", "type") if name in given}
    recurring, keys = given.get("recurring", {}), given.get("lookup_keys")

    def fits(price: Document) -> bool:
        is_wanted = all(price[name] == value for name, value in fields.items())
        recurs = all((price["recurring"] or {}).get(name) == value for name, value in recurring.items())
        return is_wanted and recurs and (keys is None or price["lookup_key"] in keys)

    return page(call, call.account.objects.find("price", fits))


def unit_amount(price: Document, currency: str, param: str = "currency") -> int:
    """What one unit costs in a currency. Raises `StripeError` for one that the price does not have."""
    option = price["_currency_options"].get(currency)
    if option is None:
        known = ", ".join(price["_currency_options"])
        raise invalid(f"The price specified only supports `{known}`. This doesn't match `{currency}`.", param)
    amount: int = option["unit_amount"]
    return amount


def currency_options(_: Account, price: Document) -> Document:
    """The field that is shown on demand alone; it has the price's own currency too."""
    options: Document = price["_currency_options"]
    return options


def _take_lookup_key(account: Account, given: Mapping[str, Any], own: Document | None = None) -> str | None:
    key: str | None = given.get("lookup_key") or None
    if key and len(key) > _LONGEST_KEY:
        raise invalid(f"Invalid string: a lookup key has at most {_LONGEST_KEY} characters", "lookup_key")
    for holder in account.objects.find("price", lambda each: key is not None and each["lookup_key"] == key):
        if holder is own:
            continue
        if not given.get("transfer_lookup_key"):
            raise invalid(f"A price (`{holder['id']}`) already uses that lookup key.", "lookup_key")
        with account.changing(holder, "price.updated"):
            holder["lookup_key"] = None
    return key


def _amounts(given: Mapping[str, Any], param: str) -> dict[str, Any]:
    """Both forms of an amount. Raises `StripeError` without one, for a negative one, and for parts of a minor unit."""
    whole, exact = given.get("unit_amount"), given.get("unit_amount_decimal")
    if whole is None and exact is None:
        raise missing_parameter(param)
    amount = Decimal(whole or 0) if exact is None else exact
    if amount < 0:
        raise invalid("Invalid non-negative integer", param, "parameter_invalid_integer")
    if amount != amount.to_integral_value():
        raise not_done(f"{param}_decimal")
    return {"unit_amount": int(amount), "unit_amount_decimal": str(int(amount))}


def _options(given: Mapping[str, Any], behaviour: str) -> Document:
    """`currency_options` as they are stored. Raises `StripeError` for one without an amount."""
    return {
        name.lower(): _option(each, each.get("tax_behavior", behaviour), f"currency_options[{name}][unit_amount]")
        for name, each in (given.get("currency_options") or {}).items()
    }


def _option(given: Mapping[str, Any], behaviour: str, param: str) -> Document:
    return {"custom_unit_amount": None, "tax_behavior": behaviour, **_amounts(given, param)}


def _recurring(given: Mapping[str, Any] | None) -> Document | None:
    if given is None:
        return None
    if given.get("usage_type", "licensed") != "licensed" or "meter" in given:
        raise not_done("recurring[usage_type]")
    count = given.get("interval_count", 1)
    if not 1 <= count <= _MOST_INTERVALS[given["interval"]]:
        raise invalid("The interval is limited to three years.", "recurring[interval_count]")
    about = {"interval": given["interval"], "interval_count": count, "meter": None, "usage_type": "licensed"}
    return about | {"trial_period_days": given.get("trial_period_days")}
