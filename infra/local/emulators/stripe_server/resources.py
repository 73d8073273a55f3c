"""Every resource: the modules whose operations are served, and the fields that are shown only on demand."""

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Final

from starlette.routing import Route

from infra.local.emulators.stripe_server import (
    authentication,
    coupons,
    customers,
    page,
    payment_methods,
    prices,
    products,
    setup_intents,
    test_clocks,
    webhook_endpoints,
)
from infra.local.emulators.stripe_server.account import Accounts
from infra.local.emulators.stripe_server.control import Deed
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
    ("customer", "subscriptions"): customers.subscriptions,
    ("customer", "tax"): customers.tax,
}
"""By (`object`, field)."""
DEEDS: Final[Mapping[str, Deed]] = {}
"""What `/_control/` does to objects beside the verbs of `control`, by path below it (`disputes/{id}`)."""
PAGES: Final[tuple[Callable[[Accounts], Iterable[Route]], ...]] = (page.routes, authentication.routes)
"""The pages that people open in a browser."""
