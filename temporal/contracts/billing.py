"""One account's subscription. Id `user/{account_id}/billing`; started, and nudged whenever something may have changed
at Stripe or here, by outbox rows of kind `billing`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

WORKFLOW: Final = "BillingWorkflow"
KIND: Final = "billing"
"""Outbox kind and aggregate prefix of the nudge."""
NUDGE: Final = "nudge"
"""The signal: a bell, nothing else."""
STATUS: Final = "status"
"""The query, for debugging: what it is doing."""

ATTEMPTS: Final = 1000
"""More than an activity has attempts: the fence of a read is `seq * ATTEMPTS + attempt`."""

READS_PER_RUN: Final = 200
"""A run that has read so often hands over: its history stays short enough to be read by people."""


class Standing(StrEnum):
    """How the account stands after a read; also the search attribute `PfState`."""

    FREE = "free"
    """Nothing is to be waited for: the workflow ends, and the next nudge starts it again."""
    GOOD = "good"
    WAITING = "waiting"
    """A first payment, or a change of plan, that is not paid yet; a trial that ended without anything to pay with."""
    DUNNING = "dunning"
    """A payment is owed: the plan ends with the grace, or has ended."""
    UNCLEAR = "unclear"
    """We did not understand what we read: the tier stays, and an operator looks."""
    FAILING = "failing"
    """Stripe, or our database, is away."""


@dataclass(frozen=True, slots=True)
class BillingState:
    """Everything a run hands to the next. `seq` counts reads, above the stored fence; `nudged`: read now; `deadline`:
    read then in any case."""

    account_id: UUID
    seq: int = 0
    nudged: bool = True
    deadline: datetime | None = None
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Nudge:
    """Read the account. `seq` is the outbox row's, for the reader of a history."""

    seq: int = 0


@dataclass(frozen=True, slots=True)
class LoadFence:
    """How far the reads of an account have been counted."""

    account_id: UUID


@dataclass(frozen=True, slots=True)
class Fence:
    """That of the stored snapshot; zero where there is none."""

    fence: int


@dataclass(frozen=True, slots=True)
class PullAccount:
    """Read everything of an account at Stripe and store it, unless a newer read has. `as_of` is the workflow's clock,
    `seq` above that of every former read."""

    account_id: UUID
    seq: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class NewCard:
    """Another payment method than the one that failed: the invoice is paid with it, once."""

    invoice_id: str
    payment_method_id: str


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """What follows from a read. `look_at`: when something is due without anybody saying so. `surplus_id`: a second live
    subscription, which is cancelled and paid back. `has_stale_checkouts`: pages are open, or were left, that cannot be
    used any more. `superseded`: a newer read was stored before this one. `void_invoice_id`: an open invoice of a
    subscription that has ended."""

    standing: Standing
    look_at: datetime | None = None
    pay: NewCard | None = None
    surplus_id: str | None = None
    has_stale_checkouts: bool = False
    superseded: bool = False
    void_invoice_id: str | None = None


@dataclass(frozen=True, slots=True)
class PayInvoice:
    """Charge the new card for what is owed."""

    account_id: UUID
    card: NewCard
    now: datetime


@dataclass(frozen=True, slots=True)
class CancelSurplus:
    """Cancel the subscription that the account does not need, and pay back what was taken for it."""

    account_id: UUID
    subscription_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class VoidInvoice:
    """Nobody owes this invoice any more: what it was for has ended."""

    account_id: UUID
    invoice_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class CloseCheckouts:
    """Close the Checkout pages of an account that are of no use any more."""

    account_id: UUID
    now: datetime


def aggregate(account_id: UUID) -> str:
    """The outbox aggregate of an account."""
    return f"{KIND}/{account_id}"


def nudge_args(account_id: UUID) -> Mapping[str, object]:
    """What an outbox row needs for `first_state`."""
    return {"account_id": str(account_id)}


def first_state(args: Mapping[str, object]) -> BillingState:
    """What a new workflow starts with, from the outbox row's args."""
    return BillingState(UUID(str(args["account_id"])))
