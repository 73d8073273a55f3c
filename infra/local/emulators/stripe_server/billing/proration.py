"""What a part of a period costs: exact to the second, in fractions, rounded once per line.

Credit and debit are rounded each for itself. A tie goes to the lower number, a credit's too; what Stripe does there is
not documented.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import Final

from infra.local.emulators.stripe_server.billing.periods import Period

_HALF: Final = Fraction(1, 2)


def rounded(amount: Fraction) -> int:
    """To the nearest unit; ties go to the lower one."""
    return ceil(amount - _HALF)


def remaining(period: Period, instant: int) -> Fraction:
    """The part of a period that is left: all of it before its start, nothing from its end on."""
    if period.seconds <= 0:
        return Fraction(0)
    left = min(max(period.end - instant, 0), period.seconds)
    return Fraction(left, period.seconds)


def credit(amount: int, unused: Fraction) -> int:
    """What is given back for the unused part: never positive."""
    return rounded(-amount * unused)


def debit(amount: int, used: Fraction) -> int:
    """What the part costs that is still to come."""
    return rounded(amount * used)


def apportioned(total: int, shares: Sequence[int]) -> list[int]:
    """A discount of at most what the lines come to, in proportion: each is rounded down, and the last ones have the
    remainder, none more than it costs.

    Shares that are not positive take no part. Without any that does, nothing is given.
    """
    costs = [max(share, 0) for share in shares]
    whole = sum(costs)
    if whole == 0:
        return [0] * len(shares)
    parts = [total * cost // whole for cost in costs]
    left = total - sum(parts)
    for index in reversed(range(len(costs))):
        more = min(left, costs[index] - parts[index])
        parts[index] += more
        left -= more
    return parts
