"""The comparison with Stripe, both ways. Id `system/billing-reconcile`, started every night by its Schedule."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

WORKFLOW: Final = "BillingReconcileWorkflow"


@dataclass(frozen=True, slots=True)
class ReconcileBilling:
    """What the Schedule starts it with. `page_size`: rows of ours at once; Stripe's pages have a hundred."""

    page_size: int = 500


@dataclass(frozen=True, slots=True)
class ReadPrices:
    """Bring what plans cost up to date."""

    now: datetime


@dataclass(frozen=True, slots=True)
class CompareTheirs:
    """Compare every subscription of Stripe's with what we have, and note that it was there, as of `began_at`."""

    began_at: datetime


@dataclass(frozen=True, slots=True)
class CompareOurs:
    """Find what we have and Stripe has not: what was not met since `began_at`, and plans that nothing stands behind."""

    began_at: datetime
    page_size: int


@dataclass(frozen=True, slots=True)
class CompareMoney:
    """Compare refunds and disputes of the last month before `began_at`, and every invoice that is owed then."""

    began_at: datetime


@dataclass(frozen=True, slots=True)
class Compared:
    """`rows` were looked at, and `drift` differences noted and given to be repaired."""

    rows: int
    drift: int


@dataclass(frozen=True, slots=True)
class BillingReconciled:
    """What a run found. In a normal night there is no drift."""

    rows: int
    drift: int
