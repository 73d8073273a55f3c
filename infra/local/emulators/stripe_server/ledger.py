"""Every movement of money of an account, in order: what its balance transactions must add up to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Movement:
    """Signed minor units; `source` is the charge, refund or dispute that moved them."""

    at: int
    kind: str
    source: str
    amount: int
    currency: str


class Ledger:
    """See the module."""

    def __init__(self) -> None:
        self.movements: list[Movement] = []

    def record(self, movement: Movement) -> None:
        """It has happened."""
        self.movements.append(movement)

    def balance(self, currency: str) -> int:
        """The sum in one currency."""
        return sum(each.amount for each in self.movements if each.currency == currency)
