"""What is said of a payment that failed, and when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing import dunning
from domain.billing.catalogue import GRACE
from domain.billing.dunning import OpenInvoice, PaymentState, Said, Word
from domain.billing.standing import Status

FAILED = datetime(2026, 11, 1, 9, tzinfo=UTC)
DECLINED = OpenInvoice(payment=PaymentState.FAILED, is_retried=True, decline_code="insufficient_funds")


def day(number: float) -> datetime:
    return FAILED + timedelta(days=number)


@pytest.mark.parametrize(
    ("at", "step"),
    [(0, "day_0"), (2.9, "day_0"), (3, "day_3"), (7, "day_7"), (11.9, "day_7"), (12, "day_12"), (13.9, "day_12")],
)
def test_each_word_has_its_day(at: float, step: str) -> None:
    assert dunning.due(Status.PAST_DUE, DECLINED, FAILED, day(at)) == Word(step, Said.WAIT_OR_PAY)


def test_after_the_grace_nothing_is_said_any_more() -> None:
    assert dunning.due(Status.PAST_DUE, DECLINED, FAILED, day(14)) is None
    assert dunning.next_at(FAILED, day(14)) is None


def test_nothing_is_said_before_a_payment_failed() -> None:
    assert dunning.due(Status.ACTIVE, DECLINED, None, day(0)) is None
    assert dunning.due(Status.PAST_DUE, DECLINED, FAILED, day(-1)) is None


def test_nothing_is_said_of_an_invoice_that_is_not_owed_any_more() -> None:
    assert dunning.due(Status.PAST_DUE, None, FAILED, day(3)) is None


@pytest.mark.parametrize("payment", [PaymentState.PROCESSING, PaymentState.WAITING])
def test_nothing_is_said_while_the_money_is_on_its_way(payment: PaymentState) -> None:
    waiting = OpenInvoice(payment=payment, is_retried=False)
    assert dunning.due(Status.PAST_DUE, waiting, FAILED, day(3)) is None


def test_a_first_payment_is_the_checkout_pages_business() -> None:
    assert dunning.due(Status.INCOMPLETE, DECLINED, FAILED, day(0)) is None


@pytest.mark.parametrize(
    ("invoice", "said"),
    [
        (OpenInvoice(payment=PaymentState.REQUIRES_ACTION, is_retried=True), Said.CONFIRM),
        (OpenInvoice(payment=PaymentState.FAILED, is_retried=True), Said.WAIT_OR_PAY),
        (OpenInvoice(payment=PaymentState.FAILED, is_retried=False), Said.REPLACE_CARD),
        (OpenInvoice(payment=PaymentState.FAILED, is_retried=True, decline_code="stolen_card"), Said.REPLACE_CARD),
    ],
)
def test_nobody_is_promised_a_retry_that_will_not_be_made(invoice: OpenInvoice, said: Said) -> None:
    word = dunning.due(Status.PAST_DUE, invoice, FAILED, day(0))
    assert word is not None
    assert word.said is said


def test_whoever_follows_the_times_says_each_word_once() -> None:
    said, now = [], FAILED
    while (following := dunning.next_at(FAILED, now)) is not None:
        word = dunning.due(Status.PAST_DUE, DECLINED, FAILED, now)
        said.append(word.step if word else None)
        now = following
    assert said == ["day_0", "day_3", "day_7", "day_12"]
    assert now == FAILED + GRACE


@given(st.timedeltas(timedelta(), timedelta(days=30)))
def test_the_next_look_is_later_than_the_last(since: timedelta) -> None:
    following = dunning.next_at(FAILED, FAILED + since)
    assert following is None or following > FAILED + since
    assert (following is None) == (since >= GRACE)
