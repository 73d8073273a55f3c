"""Money is minor units of a currency, never a float on the way."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain import money
from domain.money import CurrencyMismatch, Money, total


@pytest.mark.parametrize(
    ("value", "currency", "amount"),
    [("54.9", "EUR", 5490), ("0.1", "EUR", 10), ("1200", "JPY", 1200), ("1.234", "KWD", 1234), ("0", "EUR", 0)],
)
def test_a_number_becomes_minor_units_of_its_currency(value: str, currency: str, amount: int) -> None:
    assert money.from_number(Decimal(value), currency) == Money(amount, currency)


@pytest.mark.parametrize(
    ("value", "currency", "code"),
    [
        ("1.234", "EUR", "cost_decimals"),
        ("1.5", "JPY", "cost_decimals"),
        ("1", "QQQ", "currency_unknown"),
        ("1", "eur", "currency_unknown"),
        ("-1", "EUR", "cost_range"),
        ("1e16", "EUR", "cost_range"),
        ("NaN", "EUR", "cost_range"),
    ],
)
def test_what_no_bill_says_is_refused_by_name(value: str, currency: str, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        money.from_number(Decimal(value), currency)
    assert refusal.value.errors[0].code == code


@given(st.integers(0, 10**12), st.sampled_from(sorted(money.CURRENCIES)))
def test_the_number_shown_is_the_money_stored(amount: int, currency: str) -> None:
    shown = Money(amount, currency).number
    assert money.from_number(Decimal(str(shown)), currency) == Money(amount, currency)


minor = st.integers(-(10**12), 10**12)


@given(minor, minor, minor)
def test_sums_are_exact_and_in_any_order(one: int, two: int, three: int) -> None:
    a, b, c = (Money(amount, "EUR") for amount in (one, two, three))
    assert (a + b) + c == a + (b + c) == total([c, b, a], "EUR")
    assert a - b == -(b - a)
    assert a - a == Money(0, "EUR")


@given(minor, minor)
def test_two_currencies_make_no_sum(one: int, two: int) -> None:
    for wrong in (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: total([a, b], "EUR")):
        with pytest.raises(CurrencyMismatch):
            wrong(Money(one, "EUR"), Money(two, "USD"))


def test_the_sum_of_nothing_is_nothing_of_its_currency() -> None:
    assert total([], "JPY") == Money(0, "JPY")
