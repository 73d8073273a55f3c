"""What operators watch of payments, under the names of `infra/observability/alerts.yml`."""

from typing import Final

from prometheus_client import Counter, Gauge

from domain.money import Money

REFUSED: Final = Counter(
    "petfolio_billing_refusals",
    "Operations that Stripe refused for good: declined cards, requests it does not take, keys used for something else.",
    ["operation", "code"],
)
PULLS: Final = Counter("petfolio_billing_pulls", "Reads of an account at Stripe, by what came of them.", ["outcome"])
UNCLEAR: Final = Counter(
    "petfolio_billing_unclear", "Reads in which a status or a price was unknown: the tier stayed as it was.", ["alert"]
)
DUNNING: Final = Counter(
    "petfolio_billing_dunning",
    "Words said about a payment that failed, by step and by what was asked for.",
    ["step", "said"],
)
MONEY: Final = Counter(
    "petfolio_billing_money_minor_units",
    "Money that moved, in minor units of its currency; what went back is counted apart.",
    ["kind", "currency"],
)
EVENTS_UNAPPLIED: Final = Gauge("petfolio_billing_events_unapplied", "Messages of Stripe that are not handled yet.")
EVENTS_AGE: Final = Gauge(
    "petfolio_billing_events_oldest_unapplied_seconds", "How long the oldest of them has been waiting."
)
EVENTS_MISSED: Final = Counter(
    "petfolio_billing_events_missed", "Events that Stripe lists and nobody had told us of: webhooks do not arrive."
)
ORPHANS: Final = Counter("petfolio_billing_orphans", "Events about customers who are none of ours.")
DRIFT: Final = Counter(
    "petfolio_billing_drift", "Where a comparison with Stripe found something else here, by what it was.", ["what"]
)
RECONCILED: Final = Gauge(
    "petfolio_billing_reconciled_timestamp_seconds", "When all subscriptions were last compared with Stripe's."
)
LEDGER_DIFFERENCE: Final = Gauge(
    "petfolio_billing_ledger_difference_minor_units",
    "Stripe's balance less our ledger, of the last month that was compared.",
    ["currency"],
)
REFUNDS_STUCK: Final = Counter(
    "petfolio_billing_refunds_stuck",
    "Refunds that failed, that nobody could ask for within a day, or that nobody has settled for a month.",
    ["state"],
)


def refused(operation: str, code: str) -> None:
    """Stripe said no, for good."""
    REFUSED.labels(operation, code).inc()


def moved(kind: str, amount: Money) -> None:
    """An entry of the ledger was made."""
    MONEY.labels(kind, amount.currency).inc(abs(amount.amount))
