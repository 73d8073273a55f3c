"""What has to be in a Stripe account before anybody can subscribe: plans, a promotion code, the portal, our endpoint.

Made through the API with the official client, and only what is missing, so it may run again at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from domain.billing.catalogue import INTERVALS, Tier, lookup_key
from domain.billing.events import HANDLED
from infra.local.errors import StackError

if TYPE_CHECKING:
    import stripe

PIN: Final = "2026-10-28.endive"
CODE: Final = "WELCOME20"
PLANS: Final[Mapping[Tier, Mapping[str, tuple[int, int]]]] = {
    Tier.PLUS: {
        "eur": (499, 4_990),
        "usd": (599, 5_990),
        "gbp": (449, 4_490),
        "chf": (550, 5_500),
        "jpy": (800, 8_000),
    },
    Tier.FAMILY: {
        **{"eur": (899, 8_990), "usd": (999, 9_990), "gbp": (799, 7_990)},
        **{"chf": (950, 9_500), "jpy": (1_400, 14_000)},
    },
}
"""What a month and a year cost, in minor units; the first currency is the price's own."""


def seed(key: str, base: str, webhook_url: str) -> str | None:
    """Make what is missing; answers the secret of the endpoint, which Stripe tells once: None if it was there. Raises
    `StackError`."""
    # Here because the SDK costs 0.3 s, which `petfolio status` and the others need not spend.
    import stripe  # noqa: PLC0415

    account = client(key, base)
    try:
        for tier in PLANS:
            _plan(account, tier)
        _promotion(account)
        _portal(account)
        return _endpoint(account, webhook_url)
    except stripe.StripeError as error:
        raise StackError(f"Stripe did not take the plans: {error}") from error


def client(key: str, base: str) -> stripe.StripeClient:
    """The official client, for an account at this address."""
    # The same 27 MB.
    import stripe  # noqa: PLC0415

    http = stripe.HTTPXClient(timeout=10, allow_sync_methods=True)
    bases: Any = dict.fromkeys(("api", "files", "connect", "meter_events"), base)
    return stripe.StripeClient(key, stripe_version=PIN, base_addresses=bases, http_client=http, max_network_retries=2)


def _plan(account: stripe.StripeClient, tier: Tier) -> None:
    product_id = f"petfolio_{tier}"
    known = {each.id for each in account.v1.products.list({"ids": [product_id]}).data}
    if product_id not in known:
        about = {"id": product_id, "name": f"Petfolio {tier.title()}", "metadata": {"tier": tier}}
        account.v1.products.create(about, _once("product", product_id))  # type: ignore[arg-type]
    for place, interval in enumerate(INTERVALS):
        _price(account, product_id, tier, interval, place)


def _price(account: stripe.StripeClient, product_id: str, tier: Tier, interval: str, place: int) -> None:
    key = lookup_key(tier, interval)
    if account.v1.prices.list({"lookup_keys": [key]}).data:
        return
    (currency, amounts), *others = PLANS[tier].items()
    about: Any = {
        "product": product_id,
        "currency": currency,
        "unit_amount": amounts[place],
        "currency_options": {other: {"unit_amount": each[place]} for other, each in others},
        "recurring": {"interval": interval},
        "lookup_key": key,
        "metadata": {"tier": tier},
        "tax_behavior": "inclusive",
    }
    account.v1.prices.create(about, _once("price", key))


def _promotion(account: stripe.StripeClient) -> None:
    """A fifth off the first invoice."""
    if account.v1.promotion_codes.list({"code": CODE}).data:
        return
    terms: Any = {"percent_off": 20, "duration": "once", "name": "Welcome"}
    coupon = account.v1.coupons.create(terms, _once("coupon", CODE))
    promotion: Any = {"type": "coupon", "coupon": coupon.id}
    account.v1.promotion_codes.create({"promotion": promotion, "code": CODE}, _once("promotion_code", CODE))


def _portal(account: stripe.StripeClient) -> None:
    """What customers may do by themselves: everything, and what costs more is paid at once."""
    if account.v1.billing_portal.configurations.list({"is_default": True}).data:
        return
    found = account.v1.prices.list({"lookup_keys": [f"{tier}_{each}" for tier in PLANS for each in INTERVALS]}).data
    plans = [
        {"product": f"petfolio_{tier}", "prices": [each.id for each in found if each.product == f"petfolio_{tier}"]}
        for tier in PLANS
    ]
    features: Any = {
        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": plans,
            "proration_behavior": "always_invoice",
        },
        "payment_method_update": {"enabled": True},
        "invoice_history": {"enabled": True},
    }
    account.v1.billing_portal.configurations.create({"features": features}, _once("portal", "default"))


def _endpoint(account: stripe.StripeClient, url: str) -> str | None:
    if any(each.url == url for each in account.v1.webhook_endpoints.list({"limit": 100}).data):
        return None
    about: Any = {"url": url, "enabled_events": sorted(HANDLED), "api_version": PIN}
    made = account.v1.webhook_endpoints.create(about, _once("webhook_endpoint", url))
    return made.secret


def _once(what: str, which: str) -> Any:
    return {"idempotency_key": f"pf:local:{what}:{which}"}
