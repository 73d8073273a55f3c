"""Money is minor units of a currency, never a float on the way."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain import money
from domain.money import Money


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
