"""Every resource: the modules whose operations are served, and the fields that are shown only on demand."""

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Final

from starlette.routing import Route

from infra.local.emulators.stripe_server import (
    authentication,
    copies,
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
from infra.local.emulators.stripe_server.billing import (
    checkout_page,
    checkout_sessions,
    credit_notes,
    deeds,
    invoice_operations,
    invoice_page,
    payment_operations,
    portal_page,
    portal_sessions,
    previews,
    refunds,
    schedules,
    subscriptions,
    updates,
)
from infra.local.emulators.stripe_server.control import Deed
from infra.local.emulators.stripe_server.expansion import OnDemand

MODULES: Final[tuple[ModuleType, ...]] = (
    checkout_sessions,
    coupons,
    credit_notes,
    customers,
    invoice_operations,
    payment_methods,
    payment_operations,
    portal_sessions,
    previews,
    prices,
    products,
    refunds,
    schedules,
    setup_intents,
    subscriptions,
    test_clocks,
    updates,
    webhook_endpoints,
)
ON_DEMAND: Final[Mapping[tuple[str, str], OnDemand]] = {
    ("price", "currency_options"): prices.currency_options,
    ("coupon", "applies_to"): coupons.applies_to,
    ("charge", "refunds"): refunds.refunds_of,
    ("checkout.session", "line_items"): checkout_sessions.line_items_of,
    ("invoice", "confirmation_secret"): invoice_operations.confirmation_secret,
    ("invoice", "payments"): invoice_operations.payments_of,
    ("customer", "subscriptions"): customers.subscriptions,
    ("customer", "tax"): customers.tax,
}
"""By (`object`, field)."""
DEEDS: Final[Mapping[str, Deed]] = {"copies": copies.copy, **deeds.DEEDS}
"""What `/_control/` does to objects beside the verbs of `control`, by path below it (`disputes/{id}`)."""
PAGES: Final[tuple[Callable[[Accounts], Iterable[Route]], ...]] = (
    page.routes,
    authentication.routes,
    checkout_page.routes,
    invoice_page.routes,
    portal_page.routes,
)
"""The pages that people open in a browser."""
