"""From lines to totals: discounts are spread over the lines, then each line bears its tax.

The preview of an invoice and the invoice itself go through `priced`, so they cannot differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from infra.local.emulators.stripe_server.billing.periods import Period
from infra.local.emulators.stripe_server.billing.proration import apportioned, rounded
from infra.local.emulators.stripe_server.billing.taxes import Tax, taxed


@dataclass(frozen=True, slots=True)
class Line:
    """Something to be paid for, or given back: `amount` before discounts and taxes."""

    amount: int
    description: str
    period: Period
    price: str
    product: str
    unit_amount: int
    quantity: int
    item: str
    is_proration: bool = False
    is_inclusive: bool = False
    """Whether the price contains its tax."""
    credited: tuple[str, tuple[str, ...]] | None = None
    """For a credit: the invoice and its lines that it gives back."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """A discount in numbers: a percentage, or an amount in the invoice's currency."""

    discount: str
    percent_off: Fraction | None = None
    amount_off: int = 0
    products: tuple[str, ...] = ()
    """The only products that it applies to; empty: all."""


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line with what its discounts take away, by discount, and its tax. None: no tax is computed."""

    line: Line
    reductions: tuple[tuple[str, int], ...]
    tax: Tax | None

    @property
    def reduced(self) -> int:
        """What its discounts take away."""
        return sum(amount for _, amount in self.reductions)

    @property
    def total(self) -> int:
        """What it comes to in the end."""
        net = self.line.amount - self.reduced
        return net + (0 if self.tax is None or self.tax.is_inclusive else self.tax.amount)


@dataclass(frozen=True, slots=True)
class Totals:
    """An invoice in numbers."""

    lines: tuple[PricedLine, ...]

    @property
    def subtotal(self) -> int:
        """Before discounts, and before taxes that come on top."""
        return sum(each.line.amount for each in self.lines)

    @property
    def total(self) -> int:
        """What it comes to; negative when more is given back than taken."""
        return sum(each.total for each in self.lines)

    @property
    def tax(self) -> int:
        """Included or not."""
        return sum(each.tax.amount for each in self.lines if each.tax)

    @property
    def reductions(self) -> dict[str, int]:
        """What each discount takes away."""
        found: dict[str, int] = {}
        for each in self.lines:
            for discount, amount in each.reductions:
                found[discount] = found.get(discount, 0) + amount
        return found


def priced(lines: Sequence[Line], reductions: Sequence[Reduction] = (), percent: str | None = None) -> Totals:
    """The totals of these lines. Discounts apply one after the other, each to what the one before has left."""
    left = [line.amount for line in lines]
    taken: list[list[tuple[str, int]]] = [[] for _ in lines]
    for reduction in reductions:
        for index, amount in enumerate(_parts(lines, left, reduction)):
            if amount:
                taken[index].append((reduction.discount, amount))
                left[index] -= amount
    taxes = [
        taxed(amount, percent, is_inclusive=line.is_inclusive) if percent is not None else None
        for line, amount in zip(lines, left, strict=True)
    ]
    return Totals(tuple(PricedLine(*each) for each in zip(lines, map(tuple, taken), taxes, strict=True)))


def _parts(lines: Sequence[Line], left: Sequence[int], reduction: Reduction) -> list[int]:
    """What one discount takes from each line: a percentage of a credit, too, so that what was never paid is not given
    back."""
    chosen = [not reduction.products or line.product in reduction.products for line in lines]
    if reduction.percent_off is None:
        shares = [amount if takes else 0 for amount, takes in zip(left, chosen, strict=True)]
        return apportioned(min(reduction.amount_off, max(0, sum(shares))), shares)
    share = reduction.percent_off / 100
    debits = [amount if takes and amount > 0 else 0 for amount, takes in zip(left, chosen, strict=True)]
    parts = apportioned(rounded(sum(debits) * share), debits)
    credits_back = [
        rounded(amount * share) if takes and amount < 0 else 0 for amount, takes in zip(left, chosen, strict=True)
    ]
    return [part + back for part, back in zip(parts, credits_back, strict=True)]
