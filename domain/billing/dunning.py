"""What is said when a payment failed, and when: on the day it did, and 3, 7 and 12 days later; two days after that the
plan ends. Each word is decided on what was re-read at that moment: nothing is said of what was paid meanwhile."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.billing.catalogue import GRACE
from domain.billing.standing import Status

STEPS: Final = tuple(timedelta(days=days) for days in (0, 3, 7, 12))

HARD_DECLINES: Final = frozenset(
    {
        "incorrect_number",
        "lost_card",
        "pickup_card",
        "stolen_card",
        "revocation_of_authorization",
        "revocation_of_all_authorizations",
        "highest_risk_level",
        "transaction_not_allowed",
    }
)
"""After which Stripe does not try the same card again (<https://docs.stripe.com/billing/revenue-recovery/smart-retries>)."""


class Said(StrEnum):
    """What its person is asked for."""

    WAIT_OR_PAY = "wait_or_pay"
    """It is tried again; whoever does not want to wait pays, or changes the card."""
    CONFIRM = "confirm"
    """The bank wants to see them confirm it."""
    REPLACE_CARD = "replace_card"
    """The same card is not tried again: no promise to retry."""


class PaymentState(StrEnum):
    """Of an invoice that is open."""

    WAITING = "waiting"
    """Nobody has tried yet."""
    PROCESSING = "processing"
    """A bank debit is on its way, which takes days."""
    REQUIRES_ACTION = "requires_action"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInvoice:
    """The invoice that is owed, as it was read. `is_retried`: Stripe has planned another attempt."""

    payment: PaymentState
    is_retried: bool
    decline_code: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """What is due to be said: the step (`day_3`), and what about."""

    step: str
    said: Said


def has_failed(invoice: OpenInvoice) -> bool:
    """Whether a payment was tried, and did not come through."""
    return invoice.payment in (PaymentState.FAILED, PaymentState.REQUIRES_ACTION)


@dataclass(frozen=True, slots=True)
class Debt:
    """Since when an account owes. `first_failed_at` is that of the invoice and never moved; `past_due_since` is that of
    the first one since the subscription was last in good standing: another invoice brings no other grace."""

    invoice_id: str | None = None
    first_failed_at: datetime | None = None
    past_due_since: datetime | None = None


def owe(before: Debt, status: str, invoice_id: str | None, invoice: OpenInvoice | None, as_of: datetime) -> Debt:
    """The debt as it was read at `as_of`. A change of plan that was not paid, or a first payment, is none: without it
    nothing ends. What is `unpaid` has ended, and comes back with a payment."""
    if status not in (Status.PAST_DUE, Status.UNPAID):
        return Debt(invoice_id)
    known = before.first_failed_at if before.invoice_id == invoice_id else None
    failed_at = known or (as_of if invoice is not None and has_failed(invoice) else None)
    return Debt(invoice_id, failed_at, before.past_due_since or failed_at)


def due(invoice: OpenInvoice | None, debt: Debt, as_of: datetime) -> Word | None:
    """The word that is due; the newest alone where several are, because nobody wants four mails after an outage.
    None before the first, after the plan has ended, whichever invoice that was about, and where there is nothing to
    say: an invoice that is paid or in processing."""
    failed_at, ends = debt.first_failed_at, _ends(debt)
    if invoice is None or failed_at is None or ends is None or not has_failed(invoice):
        return None
    passed = [step for step in STEPS if failed_at + step <= as_of]
    if not passed or as_of >= ends:
        return None
    return Word(f"day_{passed[-1].days}", said_of(invoice))


def next_at(debt: Debt, as_of: datetime) -> datetime | None:
    """When to look again: at the next step, or when the grace ends; None after that."""
    ends = _ends(debt)
    if ends is None:
        return None
    steps = [] if debt.first_failed_at is None else [debt.first_failed_at + step for step in STEPS]
    return min((at for at in (*steps, ends) if as_of < at <= ends), default=None)


def said_of(invoice: OpenInvoice) -> Said:
    """What its person is asked for about an invoice whose payment failed."""
    if invoice.payment is PaymentState.REQUIRES_ACTION:
        return Said.CONFIRM
    is_hopeless = invoice.decline_code in HARD_DECLINES or not invoice.is_retried
    return Said.REPLACE_CARD if is_hopeless else Said.WAIT_OR_PAY


def _ends(debt: Debt) -> datetime | None:
    """When the plan does."""
    return None if debt.past_due_since is None else debt.past_due_since + GRACE
