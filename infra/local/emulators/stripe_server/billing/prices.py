"""What a subscription needs to know of a price, and the plan that old readers still find."""

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
        kind = "This field only accepts prices with `type=recurring`."
        raise invalid(f"The price specified is set to `type=one_time`. {kind}", _ITEM)
    return Interval(price["recurring"]["interval"], price["recurring"]["interval_count"])


def is_inclusive(price: Document, currency: str) -> bool:
    """Whether the amount contains the tax; an unspecified one does not."""
    return bool(price["_currency_options"][currency]["tax_behavior"] == "inclusive")


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
