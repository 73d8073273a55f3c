"""Weights keep what was typed and count in grams."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain import weight


@pytest.mark.parametrize(
    ("typed", "unit", "grams"),
    [("10.0", "lb", 4536), ("4.2", "kg", 4200), ("0.032", "kg", 32), ("1", "oz", 28), ("32", "g", 32)],
)
def test_an_entry_is_rounded_to_the_gram(typed: str, unit: str, grams: int) -> None:
    entry = weight.weigh(Decimal(typed), unit)
    assert (entry.grams, entry.value, entry.unit) == (grams, typed, unit)


@pytest.mark.parametrize(("typed", "grams"), [("0.0005", None), ("0.0015", 2), ("0.0025", 2)])
def test_half_a_gram_goes_to_the_even_side_and_nothing_is_no_weight(typed: str, grams: int | None) -> None:
    if grams is None:
        with pytest.raises(Invalid):
            weight.weigh(Decimal(typed), "kg")
    else:
        assert weight.weigh(Decimal(typed), "kg").grams == grams


@pytest.mark.parametrize(("unit", "step", "limit"), [("lb", "0.1", 300), ("lb", "0.01", 60), ("oz", "0.1", 600)])
def test_every_step_of_a_scale_comes_back_from_grams(unit: str, step: str, limit: int) -> None:
    size, places = Decimal(step), Decimal(step)
    for count in range(1, int(limit / size) + 1):
        typed = count * size
        grams = weight.weigh(typed, unit).grams
        assert (grams / weight.GRAMS[unit]).quantize(places) == typed


@given(st.integers(1, weight.HEAVIEST_GRAMS))
def test_kilograms_show_every_gram(grams: int) -> None:
    shown = weight.kilograms(grams)
    assert weight.weigh(Decimal(str(shown)), "kg").grams == grams


@pytest.mark.parametrize(
    ("value", "unit"), [("0", "kg"), ("-1", "kg"), ("20.001", "t"), ("99999", "kg"), ("NaN", "kg")]
)
def test_what_no_scale_shows_is_refused(value: str, unit: str) -> None:
    with pytest.raises(Invalid):
        weight.weigh(Decimal(value), unit)
