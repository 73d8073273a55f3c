"""What may be paid back of one charge, decided under the lock of its row: never more than was taken (I7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.errors import Conflict
from domain.billing.catalogue import REFUND_WINDOW
from domain.money import Money

DISPUTES_SURVIVED: Final = frozenset({"won", "warning_closed"})
"""Stripe's words for disputes after which the money is ours. Any other has taken it back, or may."""


class RefundState(StrEnum):
    """`reserved` before Stripe was asked; the others are Stripe's, but for `ambiguous`: somebody has to look."""

    RESERVED = "reserved"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    AMBIGUOUS = "ambiguous"


_ORDER: Final[Mapping[RefundState, int]] = {
    RefundState.RESERVED: 0,
    RefundState.AMBIGUOUS: 0,
    RefundState.PENDING: 1,
    RefundState.REQUIRES_ACTION: 1,
    RefundState.SUCCEEDED: 2,
    RefundState.FAILED: 3,
    RefundState.CANCELED: 3,
}


def before(state: RefundState) -> frozenset[RefundState]:
    """What a refund that Stripe has may have been until it is this. One that was paid may fail; nothing is taken back
    after that, so whoever says otherwise has read it earlier."""
    return frozenset(each for each, order in _ORDER.items() if order <= _ORDER[state])


class RefundRefused(Conflict):
    """409: this charge is not paid back, or not as much of it. The code says why: `refund_window_over`,
    `refund_currency`, `charge_disputed`, `already_refunded`, `refund_too_high`, `refund_amount`,
    `refund_no_subscription`."""

    code = "refund_refused"


@dataclass(frozen=True, slots=True)
class Charge:
    """What was taken, and what of it is on its way back or was paid back: reserved, pending and succeeded refunds."""

    captured: Money
    given_back: Money
    paid_at: datetime
    is_disputed: bool = False

    @property
    def rest(self) -> Money:
        """What can still be paid back."""
        return self.captured - self.given_back


def payable(charge: Charge, wanted: Money | None, now: datetime) -> Money:
    """What its person gets: what they asked for, or all that is left. Raises `RefundRefused`."""
    if now - charge.paid_at > REFUND_WINDOW:
        raise RefundRefused(f"a payment is paid back within {REFUND_WINDOW.days} days", code="refund_window_over")
    return owed(charge, wanted)


def owed(charge: Charge, wanted: Money | None) -> Money:
    """As `payable`, however long ago the payment was: what we took by mistake is paid back in any case."""
    if charge.is_disputed:
        raise RefundRefused("the bank decides, or has decided, about a disputed payment", code="charge_disputed")
    amount = charge.rest if wanted is None else wanted
    if amount.currency != charge.captured.currency:
        raise RefundRefused("a payment is paid back in its own currency", code="refund_currency")
    if charge.rest.amount <= 0:
        raise RefundRefused("this payment has been paid back", code="already_refunded")
    if amount.amount <= 0:
        raise RefundRefused("an amount above zero", code="refund_amount")
    if amount.amount > charge.rest.amount:
        raise RefundRefused("more than is left of this payment", code="refund_too_high")
    return amount
