"""What is paid back, and what is not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.catalogue import REFUND_WINDOW
from domain.billing.refund import Charge, RefundRefused, RefundState, before, owed, payable
from domain.money import Money

PAID = datetime(2026, 11, 1, tzinfo=UTC)
SOON = PAID + timedelta(days=2)


def charge(captured: int = 999, given_back: int = 0, *, is_disputed: bool = False) -> Charge:
    return Charge(Money(captured, "EUR"), Money(given_back, "EUR"), PAID, is_disputed)


def refusal(of: Charge, wanted: Money | None = None, now: datetime = SOON) -> str:
    with pytest.raises(RefundRefused) as refused:
        payable(of, wanted, now)
    return refused.value.problem_code


def test_what_stripe_has_settled_is_never_taken_back_but_that_it_was_paid() -> None:
    assert RefundState.FAILED not in before(RefundState.SUCCEEDED)
    assert RefundState.SUCCEEDED not in before(RefundState.PENDING)
    assert before(RefundState.FAILED) == frozenset(RefundState)


def test_all_that_is_left_is_paid_back_where_nobody_said_how_much() -> None:
    assert payable(charge(999, 300), None, SOON) == Money(699, "EUR")


def test_a_part_is_paid_back() -> None:
    assert payable(charge(), Money(1, "EUR"), SOON) == Money(1, "EUR")


@pytest.mark.parametrize(
    ("of", "wanted", "code"),
    [
        (charge(is_disputed=True), None, "charge_disputed"),
        (charge(), Money(100, "USD"), "refund_currency"),
        (charge(999, 999), None, "already_refunded"),
        (charge(999, 999), Money(1, "EUR"), "already_refunded"),
        (charge(999, 500), Money(500, "EUR"), "refund_too_high"),
        (charge(), Money(0, "EUR"), "refund_amount"),
        (charge(), Money(-5, "EUR"), "refund_amount"),
    ],
)
def test_what_is_not_paid_back_is_refused_by_name(of: Charge, wanted: Money | None, code: str) -> None:
    assert refusal(of, wanted) == code


def test_the_window_closes_to_the_second() -> None:
    assert payable(charge(), None, PAID + REFUND_WINDOW) == Money(999, "EUR")
    assert refusal(charge(), now=PAID + REFUND_WINDOW + timedelta(seconds=1)) == "refund_window_over"


def test_what_we_took_by_mistake_has_no_window() -> None:
    assert owed(charge(), None) == Money(999, "EUR")


@given(st.integers(1, 10**9), st.lists(st.integers(-5, 10**9), max_size=20))
def test_no_series_of_refunds_exceeds_what_was_taken(captured: int, wishes: list[int]) -> None:
    given_back = 0
    for wish in wishes:
        try:
            paid = owed(charge(captured, given_back), Money(wish, "EUR"))
        except RefundRefused:
            continue
        given_back += paid.amount
    assert given_back <= captured
