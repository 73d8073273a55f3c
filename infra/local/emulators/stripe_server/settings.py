"""How an account is set up, as its owner would in Stripe's Dashboard; `/_control/settings` changes it."""

from dataclasses import dataclass, fields
from typing import Any, Literal

from infra.local.emulators.stripe_server.errors import invalid


@dataclass(slots=True)
class Settings:
    """`retry_days`: the gaps between the attempts to collect an invoice; `after_retries`: what its subscription becomes
    when the last one failed. `settles_in`: the currency that the balance is kept in, as a converted amount at
    `exchange_rate`; None: whatever was paid."""

    retry_days: tuple[int, ...] = (3, 5, 7)
    after_retries: Literal["canceled", "unpaid", "past_due"] = "canceled"
    country: str = "DE"
    settles_in: str | None = None
    exchange_rate: float = 0.8

    def change(self, given: dict[str, Any]) -> None:
        """Set some of them by name. Raises `StripeError` for a name that there is not."""
        known = {each.name for each in fields(self)}
        for name, value in given.items():
            if name not in known:
                raise invalid(f"No such setting: {name}", name)
            setattr(self, name, tuple(value) if isinstance(value, list) else value)
