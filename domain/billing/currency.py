"""How many decimals Stripe gives a currency, beside how many it has: only where both agree do we take money in it.

ISK stays two-decimal at Stripe although it has none, and so does UGX by some accounts; MGA has none there and two in
ISO 4217. To enable one of those, read <https://docs.stripe.com/currencies> first.
"""

from typing import Final

from domain import money
from domain.money import Money

_NONE: Final = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
_THREE: Final = frozenset("BHD JOD KWD OMR TND".split())


class ForeignCurrency(ValueError):
    """An amount whose minor units mean something else at Stripe than here: it must not be off by a hundred."""


def exponent_at_stripe(currency: str) -> int:
    """How many decimals an amount of this currency has in Stripe's API."""
    return 0 if currency in _NONE else 3 if currency in _THREE else 2


def agrees(currency: str) -> bool:
    """Whether minor units mean the same there and here."""
    return currency in money.CURRENCIES and exponent_at_stripe(currency) == money.exponent(currency)


def of_stripe(amount: int, currency: str) -> Money:
    """An amount as Stripe gives it: minor units and a code in small letters. Raises `ForeignCurrency` where minor units
    are not the same here."""
    code = currency.upper()
    if not agrees(code):
        raise ForeignCurrency(f"{code} is no currency whose minor units are the same at Stripe")
    return Money(amount, code)
