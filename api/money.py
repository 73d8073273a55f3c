"""Money in documents."""

from typing import Any

from domain.money import Money


def money(amount: Money) -> dict[str, Any]:
    """Minor units and currency, as everywhere in the api."""
    return {"amount": amount.amount, "currency": amount.currency}
