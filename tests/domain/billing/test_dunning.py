"""What is said of a payment that failed, and when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing import dunning
from domain.billing.catalogue import GRACE
from domain.billing.dunning import Debt, OpenInvoice, PaymentState, Said, Word
from domain.billing.standing import Status

FAILED = datetime(2026, 11, 1, 9, tzinfo=UTC)
DECLINED = OpenInvoice(payment=PaymentState.FAILED, is_retried=True, decline_code="insufficient_funds")

DEBT = Debt("in_1", FAILED, FAILED)


def day(number: float) -> datetime:
    return FAILED + timedelta(days=number)


@pytest.mark.parametrize(
    ("at", "step"),
    [(0, "day_0"), (2.9, "day_0"), (3, "day_3"), (7, "day_7"), (11.9, "day_7"), (12, "day_12"), (13.9, "day_12")],
)
def test_each_word_has_its_day(at: float, step: str) -> None:
    assert dunning.due(DECLINED, DEBT, day(at)) == Word(step, Said.WAIT_OR_PAY)


def test_after_the_grace_nothing_is_said_any_more() -> None:
    assert dunning.due(DECLINED, DEBT, day(14)) is None
    assert dunning.next_at(DEBT, day(14)) is None


def test_nothing_is_said_before_a_payment_failed() -> None:
    assert dunning.due(DECLINED, Debt("in_1"), day(0)) is None
    assert dunning.due(DECLINED, DEBT, day(-1)) is None


def test_nothing_is_said_of_an_invoice_that_is_not_owed_any_more() -> None:
    assert dunning.due(None, DEBT, day(3)) is None


@pytest.mark.parametrize("payment", [PaymentState.PROCESSING, PaymentState.WAITING])
def test_nothing_is_said_while_the_money_is_on_its_way(payment: PaymentState) -> None:
    waiting = OpenInvoice(payment=payment, is_retried=False)
    assert dunning.due(waiting, DEBT, day(3)) is None


OWING = (Status.PAST_DUE, Status.UNPAID)


@pytest.mark.parametrize("status", [status for status in Status if status not in OWING])
def test_only_a_subscription_whose_renewal_failed_owes(status: Status) -> None:
    """A first payment is the Checkout page's business; an upgrade that was not paid ends nothing."""
    assert dunning.owe(DEBT, status, "in_1", DECLINED, day(1)) == Debt("in_1")


def test_the_first_failure_is_the_first_that_was_seen_and_stays() -> None:
    first = dunning.owe(Debt(), Status.PAST_DUE, "in_1", DECLINED, day(0))
    assert first == DEBT
    assert dunning.owe(first, Status.PAST_DUE, "in_1", DECLINED, day(6)) == first


def test_what_stripe_has_given_up_on_is_owed_all_the_same() -> None:
    assert dunning.owe(DEBT, Status.UNPAID, "in_1", DECLINED, day(9)) == DEBT
    assert dunning.owe(Debt(), Status.UNPAID, "in_1", DECLINED, day(0)) == DEBT


def test_of_another_invoice_nothing_is_said_after_the_plan_has_ended() -> None:
    second = dunning.owe(DEBT, Status.PAST_DUE, "in_2", DECLINED, day(30))
    assert dunning.due(DECLINED, second, day(30)) is None
    assert dunning.next_at(second, day(30)) is None


def test_of_another_invoice_only_as_much_is_said_as_the_grace_has_days() -> None:
    second = dunning.owe(DEBT, Status.PAST_DUE, "in_2", DECLINED, day(6))
    assert dunning.due(DECLINED, second, day(6)) == Word("day_0", Said.WAIT_OR_PAY)
    assert dunning.next_at(second, day(9)) == day(13)
    assert dunning.next_at(second, day(13)) == FAILED + GRACE


def test_a_debit_that_fails_days_later_has_failed_then() -> None:
    processing = OpenInvoice(payment=PaymentState.PROCESSING, is_retried=False)
    waiting = dunning.owe(Debt(), Status.PAST_DUE, "in_1", processing, day(0))
    assert waiting == Debt("in_1")
    assert dunning.owe(waiting, Status.PAST_DUE, "in_1", DECLINED, day(5)) == Debt("in_1", day(5), day(5))


def test_another_invoice_is_told_anew_and_brings_no_other_grace() -> None:
    month_later = dunning.owe(DEBT, Status.PAST_DUE, "in_2", DECLINED, day(30))
    assert month_later == Debt("in_2", day(30), FAILED)


def test_whoever_has_paid_starts_with_a_whole_grace_next_time() -> None:
    paid = dunning.owe(DEBT, Status.ACTIVE, None, None, day(5))
    assert dunning.owe(paid, Status.PAST_DUE, "in_2", DECLINED, day(40)) == Debt("in_2", day(40), day(40))


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
    word = dunning.due(invoice, DEBT, day(0))
    assert word is not None
    assert word.said is said


def test_whoever_follows_the_times_says_each_word_once() -> None:
    said, now = [], FAILED
    while (following := dunning.next_at(DEBT, now)) is not None:
        word = dunning.due(DECLINED, DEBT, now)
        said.append(word.step if word else None)
        now = following
    assert said == ["day_0", "day_3", "day_7", "day_12"]
    assert now == FAILED + GRACE


@given(st.timedeltas(timedelta(), timedelta(days=30)))
def test_the_next_look_is_later_than_the_last(since: timedelta) -> None:
    following = dunning.next_at(DEBT, FAILED + since)
    assert following is None or following > FAILED + since
    assert (following is None) == (since >= GRACE)
