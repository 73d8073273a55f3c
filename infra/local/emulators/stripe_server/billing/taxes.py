"""Automatic tax: one flat rate for each country, on digital services. Consistent, and not meant to be anybody's law."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from infra.local.emulators.stripe_server.billing.proration import rounded

_PERCENT: Final = {
    **{"AT": "20", "BE": "21", "BG": "20", "CY": "19", "CZ": "21", "DE": "19", "DK": "25", "EE": "24", "ES": "21"},
    **{"FI": "25.5", "FR": "20", "GR": "24", "HR": "25", "HU": "27", "IE": "23", "IT": "22", "LT": "21", "LU": "17"},
    **{"LV": "21", "MT": "18", "NL": "21", "PL": "23", "PT": "23", "RO": "21", "SE": "25", "SI": "22", "SK": "23"},
    **{"GB": "20", "CH": "8.1", "NO": "25", "JP": "10", "AU": "10", "NZ": "15", "CA": "5"},
}


@dataclass(frozen=True, slots=True)
class Tax:
    """What one line bears. `taxable` is without the tax, as the tax is included or comes on top."""

    amount: int
    taxable: int
    is_inclusive: bool


def percentage(country: str | None) -> str | None:
    """The rate of a country. None: nothing is collected there."""
    return _PERCENT.get(country or "")


def rate_id(country: str) -> str:
    """The id of the country's tax rate, the same in every account."""
    return f"txr_local{country.lower()}"


def taxed(amount: int, percent: str, *, is_inclusive: bool) -> Tax:
    """The tax of an amount after discounts; a credit bears a negative one."""
    rate = Fraction(percent) / 100
    if is_inclusive:
        part = rounded(amount * rate / (1 + rate))
        return Tax(part, amount - part, True)
    return Tax(rounded(amount * rate), amount, False)
