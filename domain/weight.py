"""Weights: grams for arithmetic, the text and unit as entered for people (product.md §4.4)."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, Literal, get_args

from core.errors import FieldProblem, Invalid

WeightUnit = Literal["g", "kg", "lb", "oz"]
GRAMS: Final[dict[str, Decimal]] = {
    "g": Decimal(1),
    "kg": Decimal(1000),
    # The international avoirdupois pound, exact by definition since 1959.
    "lb": Decimal("453.59237"),
    "oz": Decimal("28.349523125"),
}
HEAVIEST_GRAMS: Final = 20_000_000  # twenty tonnes: an elephant, with room


@dataclass(frozen=True, slots=True)
class Weight:
    """`grams` is rounded half-even; `value` is the text that was typed."""

    grams: int
    value: str
    unit: WeightUnit


def weigh(value: Decimal, unit: str, pointer: str = "/weight_kg") -> Weight:
    """The weight of an entry. Raises `Invalid` (`weight_range`, `weight_unit`)."""
    for known in get_args(WeightUnit):
        if unit == known:
            grams = int((value * GRAMS[known]).quantize(Decimal(1), ROUND_HALF_EVEN)) if value.is_finite() else 0
            if not 0 < grams <= HEAVIEST_GRAMS:
                raise _invalid(pointer, "weight_range", "more than 0 g and at most 20 t")
            return Weight(grams, format(value, "f"), known)
    raise _invalid(pointer, "weight_unit", "g, kg, lb or oz")


def kilograms(grams: int) -> float:
    """The base schema's number: kilograms with three decimals."""
    return grams / 1000


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid("the weight cannot be used", errors=(FieldProblem(pointer, code, detail),))
