"""Every resource: the modules whose operations are served, and the fields that are shown only on demand."""

from collections.abc import Mapping
from types import ModuleType
from typing import Final

from infra.local.emulators.stripe_server import (
    coupons,
    customers,
    payment_methods,
    prices,
    products,
    setup_intents,
    test_clocks,
    webhook_endpoints,
)
from infra.local.emulators.stripe_server.expansion import OnDemand

MODULES: Final[tuple[ModuleType, ...]] = (
    coupons,
    customers,
    payment_methods,
    prices,
    products,
    setup_intents,
    test_clocks,
    webhook_endpoints,
)
ON_DEMAND: Final[Mapping[tuple[str, str], OnDemand]] = {
    ("price", "currency_options"): prices.currency_options,
    ("coupon", "applies_to"): coupons.applies_to,
}
"""By (`object`, field)."""
