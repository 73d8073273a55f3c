"""What a subscription entitles to: a pure function of what was re-read from Stripe, never of a message about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.billing.catalogue import GRACE, Tier, highest


class Status(StrEnum):
    """Those of Stripe's subscriptions. What it may invent beside them is handled as unknown."""

    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"


GOOD: Final = frozenset({Status.TRIALING, Status.ACTIVE})
DORMANT: Final = frozenset({Status.UNPAID, Status.PAUSED})
"""Gives nothing any more, and may charge again."""
LIVE: Final = GOOD | DORMANT | {Status.PAST_DUE}
"""What would charge, or may again: nobody subscribes anew beside one of these. `incomplete` is not among them, it ends
by itself."""
ENDED: Final = frozenset({Status.CANCELED, Status.INCOMPLETE_EXPIRED})
"""For ever."""


class Alert(StrEnum):
    """What an operator has to look at."""

    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_PRICE = "unknown_price"


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What an account has. From `grace_until` on it is a free one, whoever reads and whether or not a worker runs."""

    tier: Tier = Tier.FREE
    grace_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Of the subscription that counts. `price_tier` None: nobody knows this price. `past_due_since`: the first payment
    that failed of those it still owes. A pause of collection, a scheduled cancel and an open dispute are no part of
    this: they change nothing."""

    status: str
    price_tier: Tier | None
    past_due_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be stored, and whether somebody has to look at it."""

    entitlement: Entitlement
    alert: Alert | None = None


def judge(facts: Facts | None, last: Entitlement, as_of: datetime) -> Verdict:
    """What the account is entitled to now; `facts` None: it has no subscription. `last` is what it had: it stays where
    we do not understand what we read."""
    if facts is None or facts.status in _FREE:
        return Verdict(Entitlement())
    if facts.status not in _KNOWN:
        return Verdict(last, Alert.UNKNOWN_STATUS)
    if facts.price_tier is None:
        return Verdict(last, Alert.UNKNOWN_PRICE)
    if facts.status == Status.PAST_DUE and facts.past_due_since is not None:
        granted = Entitlement(facts.price_tier, facts.past_due_since + GRACE)
        return Verdict(granted if tier_at(granted, as_of) is not Tier.FREE else Entitlement())
    return Verdict(Entitlement(facts.price_tier))


def tier_at(entitlement: Entitlement, now: datetime) -> Tier:
    """What the account has at this moment."""
    is_over = entitlement.grace_until is not None and entitlement.grace_until <= now
    return Tier.FREE if is_over else entitlement.tier


def household_tier(owners: Iterable[Entitlement], now: datetime) -> Tier:
    """The highest of those who own it now."""
    return highest(*(tier_at(entitlement, now) for entitlement in owners))


_FREE: Final = frozenset(Status) - GOOD - {Status.PAST_DUE}
_KNOWN: Final = frozenset(Status)
