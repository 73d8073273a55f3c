"""What a write says about the cost of a health record, and which dates it may carry."""

from datetime import date
from decimal import Decimal

import pytest

from core.errors import Invalid
from domain.health import Cost, check_date, cost_after
from domain.money import Money

TEN = Money(1000, "EUR")
ECHO = Cost(cost=Decimal(10), cost_money=TEN, currency="EUR")


@pytest.mark.parametrize(
    ("current", "said", "after"),
    [
        (None, Cost(), None),
        (None, Cost(cost=Decimal("54.9")), Money(5490, "EUR")),
        (None, Cost(cost=Decimal(1200), currency="JPY"), Money(1200, "JPY")),
        (None, Cost(cost_money=Money(99, "USD")), Money(99, "USD")),
        (None, Cost(cost=Decimal(5), cost_money=None), Money(500, "EUR")),
        (None, Cost(currency="USD"), None),
        (TEN, Cost(), TEN),
        (TEN, ECHO, TEN),
        (TEN, ECHO | Cost(cost=Decimal(20)), Money(2000, "EUR")),
        (TEN, ECHO | Cost(cost_money=Money(7, "USD")), Money(7, "USD")),
        (TEN, ECHO | Cost(currency="USD"), Money(1000, "USD")),
        (TEN, ECHO | Cost(currency="JPY"), Money(10, "JPY")),
        (TEN, ECHO | Cost(cost=None), None),
        (TEN, ECHO | Cost(cost_money=None), None),
        (TEN, Cost(cost=None, cost_money=None), None),
    ],
)
def test_only_what_differs_says_something(current: Money | None, said: Cost, after: Money | None) -> None:
    assert cost_after(current, said, "EUR") == after


@pytest.mark.parametrize(
    "said",
    [
        Cost(cost=Decimal(1), cost_money=Money(200, "EUR")),
        Cost(cost=Decimal(1), cost_money=Money(100, "USD")),
        Cost(cost=Decimal(1), cost_money=None),
    ],
)
def test_two_different_costs_in_one_write_are_a_conflict(said: Cost) -> None:
    with pytest.raises(Invalid) as refusal:
        cost_after(TEN, said, "EUR")
    assert refusal.value.errors[0].code == "cost_conflict"


def test_what_is_done_lies_not_in_the_future() -> None:
    today = date(2026, 2, 28)
    check_date(today, today, planned=False)
    check_date(date(2026, 3, 1), today, planned=True)
    check_date(None, today, planned=False)
    with pytest.raises(Invalid):
        check_date(date(2026, 3, 1), today, planned=False)
