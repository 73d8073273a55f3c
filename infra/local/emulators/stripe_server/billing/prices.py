"""What a price says: how often it recurs, what it costs in a currency, and the plan that old readers still find."""

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.blank import shaped
from infra.local.emulators.stripe_server.billing.periods import Interval
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.objects import Document

_ITEM = "items[0][price]"


def price_of(account: Account, price_id: str) -> Document:
    """An active recurring price. Raises `StripeError` for any other."""
    price = account.objects.get("price", price_id, _ITEM)
    if not price["active"]:
        raise invalid(f"The price specified is inactive. This field only accepts active prices: `{price_id}`.", _ITEM)
    interval_of(price)
    return price


def interval_of(price: Document) -> Interval:
    """How often it recurs. Raises `StripeError` for a price that is paid once."""
    if price["recurring"] is None:
        message = "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."
        raise invalid(message, _ITEM)
    return Interval(price["recurring"]["interval"], price["recurring"]["interval_count"])


def unit_amount(price: Document, currency: str) -> int:
    """What one costs. Raises `StripeError` for a currency that the price does not have."""
    return int(_in(price, currency)["unit_amount"])


def is_inclusive(price: Document, currency: str) -> bool:
    """Whether the amount contains the tax; an unspecified one does not."""
    return bool(_in(price, currency)["tax_behavior"] == "inclusive")


def plan_of(account: Account, price: Document) -> Document:
    """The same as a plan, which is what items had before there were prices."""
    about = {name: price[name] for name in ("active", "created", "currency", "nickname", "product", "metadata")}
    recurring = {name: price["recurring"][name] for name in ("interval", "interval_count", "usage_type")}
    return shaped(
        account,
        "plan",
        price["id"],
        **about,
        **recurring,
        amount=price["unit_amount"],
        amount_decimal=price["unit_amount_decimal"],
        billing_scheme=price["billing_scheme"],
    )


def _in(price: Document, currency: str) -> Document:
    if price["currency"] == currency:
        return price
    options: dict[str, Document] = price.get("currency_options") or price.get("_currency_options") or {}
    if currency not in options:
        known = ", ".join(f"`{each}`" for each in sorted({price["currency"], *options}))
        message = f"The price specified only supports {known}. This doesn't match the expected currency: `{currency}`."
        raise invalid(message, _ITEM)
    return options[currency]
