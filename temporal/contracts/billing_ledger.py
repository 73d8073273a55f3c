"""The ledger against Stripe's balance. Id `system/billing-ledger`, started every month by its Schedule."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

WORKFLOW: Final = "BillingLedgerWorkflow"


@dataclass(frozen=True, slots=True)
class CheckLedger:
    """What the Schedule starts it with. `days`: how far back from its start."""

    days: int = 35


@dataclass(frozen=True, slots=True)
class CompareBalance:
    """Compare every movement of Stripe's balance in this time with the ledger."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class BalanceCompared:
    """`movements` were compared; `missing` of them are otherwise in the ledger, or not at all; `difference` by
    currency, in minor units: Stripe's less ours. All of it must be zero."""

    movements: int
    missing: int
    difference: Mapping[str, int] = field(default_factory=dict)
