"""Whose an event of Stripe's is, where it names nobody we know: thin events name an object alone. Id
`system/billing-resolve/{event_id}`; started by outbox rows of kind `billing_resolve`."""

from dataclasses import dataclass
from typing import Final

WORKFLOW: Final = "BillingResolveWorkflow"
KIND: Final = "billing_resolve"


@dataclass(frozen=True, slots=True)
class ResolveEvent:
    """Which row of `stripe_events`."""

    event_id: str


def aggregate(event_id: str) -> str:
    """The outbox aggregate of a search."""
    return f"{KIND}/{event_id}"
