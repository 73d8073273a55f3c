"""Which of Stripe's events say that an account may be another than it was (billing.md §5.2). Others are not for us."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

HANDLED: Final = frozenset(
    f"{thing}.{happened}"
    for thing, all_of_it in {
        "customer": "updated deleted",
        "customer.subscription": (
            "created updated deleted paused resumed trial_will_end pending_update_applied pending_update_expired"
        ),
        "invoice": (
            "created finalized finalization_failed paid payment_failed payment_action_required voided"
            " marked_uncollectible"
        ),
        "checkout.session": "completed expired async_payment_succeeded async_payment_failed",
        "payment_method": "attached detached automatically_updated",
        "refund": "created updated failed",
        "charge": "refunded",
        "charge.dispute": "created updated closed funds_withdrawn funds_reinstated",
    }.items()
    for happened in all_of_it.split()
)
"""What the webhook endpoint is subscribed to, by the names of snapshot events."""
_THIN: Final = "v1."
"""Thin events name what happened to a resource of the v1 API with this in front."""
NEVER_HELD_UP: Final = "invoice.created"
"""Stripe holds the charge back until this was answered well: it always is, and nothing of ours depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingEvent:
    """What is used of a message. `format` is `snapshot` or `thin`; `object_id` is what it is about; `customer_id` is
    unknown to most thin ones."""

    id: str
    format: str
    type: str
    created: datetime
    api_version: str | None
    livemode: bool
    object_id: str | None
    customer_id: str | None


def name_of(event_type: str) -> str:
    """The name of what happened, however the event came."""
    return event_type.removeprefix(_THIN)


def is_handled(event_type: str) -> bool:
    """Whether it is about something we re-read Stripe for."""
    return name_of(event_type) in HANDLED
