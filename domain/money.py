"""Money: integer minor units beside an ISO 4217 code, never a float, never a blind ×100, never two currencies in one
sum. The ledger of payments has negative amounts too; what people enter has not."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from core.errors import FieldProblem, Invalid

# ISO 4217 list one: minor units other than two. Codes outside this table and the letters' form have two decimals.
EXPONENTS: Final[dict[str, int]] = dict.fromkeys(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
) | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
CURRENCIES: Final = EXPONENTS.keys() | set(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
    "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
    "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD "
    "NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
    "SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG".split()
)
LARGEST_MINOR: Final = 10**15


class CurrencyMismatch(ValueError):
    """Two currencies met in one sum: a mistake of ours, never of a person's."""


@dataclass(frozen=True, slots=True)
class Money:
    """`amount` counts minor units of `currency`."""

    amount: int
    currency: str

    def __add__(self, other: Self) -> Self:
        """Raises `CurrencyMismatch`."""
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} make no sum")
        return type(self)(self.amount + other.amount, self.currency)

    def __sub__(self, other: Self) -> Self:
        """Raises `CurrencyMismatch`."""
        return self + -other

    def __neg__(self) -> Self:
        return type(self)(-self.amount, self.currency)

    @property
    def number(self) -> float:
        """The amount in major units, for the base schema's plain number."""
        return float(Decimal(self.amount).scaleb(-exponent(self.currency)))

    @property
    def text(self) -> str:
        """For people who read any language: `4.99 EUR`."""
        return f"{Decimal(self.amount).scaleb(-exponent(self.currency))} {self.currency}"


def exponent(currency: str) -> int:
    """How many decimals a currency has."""
    return EXPONENTS.get(currency, 2)


def total(amounts: Iterable[Money], currency: str) -> Money:
    """Their sum, which is zero where there are none. Raises `CurrencyMismatch`."""
    return sum(amounts, start=Money(0, currency))


def from_number(value: Decimal, currency: str) -> Money:
    """Money of a plain number. Raises `Invalid` (`currency_unknown`, `cost_decimals`, `cost_range`)."""
    if currency not in CURRENCIES:
        raise _invalid("/currency", "currency_unknown", "an ISO 4217 code in capitals")
    if not value.is_finite() or not 0 <= value <= LARGEST_MINOR:
        raise _invalid("/cost", "cost_range", "from 0")
    minor = value.scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        raise _invalid("/cost", "cost_decimals", f"{currency} has {exponent(currency)} decimals")
    return from_minor(int(minor), currency)


def from_minor(amount: int, currency: str) -> Money:
    """Money of minor units. Raises `Invalid`."""
    if currency not in CURRENCIES:
        raise _invalid("/cost_money/currency", "currency_unknown", "an ISO 4217 code in capitals")
    if not 0 <= amount <= LARGEST_MINOR:
        raise _invalid("/cost_money/amount", "cost_range", "from 0")
    return Money(amount, currency)


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid("the cost cannot be used", errors=(FieldProblem(pointer, code, detail),))
