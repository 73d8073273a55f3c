"""The plans: what each allows, and how a price of Stripe's says which plan it is. Limits are data, keyed by tier."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

_GB: Final = 10**9


class Tier(StrEnum):
    """What an account has paid for. Their order is `rank`'s, not that of the letters."""

    FREE = "free"
    PLUS = "plus"
    FAMILY = "family"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one plan includes: living pets of a household, segments of text messages a month, bytes of media."""

    pets: int
    sms_per_month: int
    storage_bytes: int


LIMITS: Final[Mapping[Tier, Limits]] = {
    Tier.FREE: Limits(pets=2, sms_per_month=10, storage_bytes=1 * _GB),
    Tier.PLUS: Limits(pets=5, sms_per_month=100, storage_bytes=10 * _GB),
    Tier.FAMILY: Limits(pets=25, sms_per_month=300, storage_bytes=50 * _GB),
}
"""A segment of a text message costs us cents: a free account gets enough to learn what it is like, a plan what a course
of tablets twice a day for a household needs."""

INTERVALS: Final = ("month", "year")
CURRENCIES: Final = ("CHF", "EUR", "GBP", "JPY", "USD")
"""Those that plans are sold in. Only currencies whose exponents agree at Stripe and in ISO 4217 can be among them
(`domain.billing.currency`)."""

GRACE: Final = timedelta(days=14)
"""How long a plan outlives the first payment that failed."""
REFUND_WINDOW: Final = timedelta(days=14)
"""How long after a payment its person may ask for it back."""
TRIAL_NOTICE: Final = timedelta(days=3)
"""How long before a trial ends its person is told."""


def rank(tier: Tier) -> int:
    """Free is the lowest; a higher plan includes all of a lower one."""
    return _RANKS[tier]


def highest(*tiers: Tier) -> Tier:
    """The best of them; free where there is none."""
    return max(tiers, key=rank, default=Tier.FREE)


def limits_of(plan: str) -> Limits:
    """By the name of a plan; one that we do not know gets what a free account gets."""
    return LIMITS[Tier(plan)] if plan in _RANKS else LIMITS[Tier.FREE]


def lookup_key(tier: Tier, interval: str) -> str:
    """By which the price on sale is found: `plus_month`."""
    return f"{tier}_{interval}"


def tier_of(key: str | None, price_metadata: Mapping[str, str], product_metadata: Mapping[str, str]) -> Tier | None:
    """Which paid plan a price is: by its lookup key, else as its metadata says, else its product's. A key that was
    transferred to a newer price leaves the older one without. None: nobody has told us."""
    by_key = (key or "").partition("_")[0]
    for said in (by_key, price_metadata.get("tier"), product_metadata.get("tier")):
        if said in _PAID:
            return Tier(said)
    return None


_RANKS: Final[Mapping[str, int]] = {tier: number for number, tier in enumerate(Tier)}
_PAID: Final = frozenset({Tier.PLUS, Tier.FAMILY})
