"""One payment on its way back. Id `user/{account_id}/refund/{refund_id}`; started, and rung whenever Stripe said
something about it, by outbox rows of kind `refund`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.billing.refund import RefundState

WORKFLOW: Final = "RefundWorkflow"
KIND: Final = "refund"
"""Outbox kind and aggregate prefix of the bell."""
CHANGED: Final = "changed"
"""The signal: a bell, nothing else."""


@dataclass(frozen=True, slots=True)
class Refunding:
    """Which row of `refunds`; everything else is read from it."""

    account_id: UUID
    refund_id: UUID


@dataclass(frozen=True, slots=True)
class RefundChanged:
    """Stripe, or an operator, has said something. `seq` is the outbox row's."""

    seq: int


@dataclass(frozen=True, slots=True)
class LookAtRefund:
    """One step of a refund. `now` is the workflow's clock."""

    refund_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class RefundStanding:
    """`state` is that of the row, None where there is none; `is_over`: nothing will change any more without somebody's
    doing; `cancels`: its subscription has to be cancelled first."""

    state: RefundState | None
    is_over: bool
    cancels: bool = False


def aggregate(refund_id: UUID) -> str:
    """The outbox aggregate of a refund."""
    return f"{KIND}/{refund_id}"


def bell_args(account_id: UUID, refund_id: UUID) -> Mapping[str, object]:
    """What an outbox row needs for `first_state`."""
    return {"account_id": str(account_id), "refund_id": str(refund_id)}


def first_state(args: Mapping[str, object]) -> Refunding:
    """What a new workflow starts with, from the outbox row's args."""
    return Refunding(UUID(str(args["account_id"])), UUID(str(args["refund_id"])))
