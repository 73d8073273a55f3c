"""What of Stripe's messages was left, or never came. Ids `system/billing-sweep` (every five minutes) and
`system/billing-events` (every hour, which also asks Stripe), started by their Schedules."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

WORKFLOW: Final = "BillingSweepWorkflow"


@dataclass(frozen=True, slots=True)
class SweepBilling:
    """What the Schedule starts it with. `asks_stripe`: whether events are missing here; `page_size`: rows at once."""

    asks_stripe: bool = False
    page_size: int = 500


@dataclass(frozen=True, slots=True)
class NudgeWaiting:
    """Ring every account that has had an unhandled event for a minute, ask again whose the others are, and forget what
    is old."""

    page_size: int


@dataclass(frozen=True, slots=True)
class WaitingNudged:
    """`accounts` were rung; `pruned` old events and passing operations forgotten."""

    accounts: int
    pruned: int


@dataclass(frozen=True, slots=True)
class FindMissed:
    """Read Stripe's list of events up to `now`, from an hour before where the last reading began."""

    now: datetime


@dataclass(frozen=True, slots=True)
class MissedFound:
    """`missed`: events that nobody had told us of."""

    missed: int


@dataclass(frozen=True, slots=True)
class BillingSwept:
    """What a run found. On an ordinary day everything is zero."""

    accounts: int
    pruned: int
    missed: int
