"""What the api has of billing: nothing without a key of Stripe's, else the webhook's secrets and a client.

The client is the api's own: ten seconds a call and one retry, because somebody waits; nothing else shares its
connections (billing.md §4.6).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request

from api.auth import CurrentUser
from core.errors import NotFound
from core.settings import Settings
from integrations.payments.factory import open_payments

if TYPE_CHECKING:
    from integrations.payments.client import Payments

CALL_SECONDS: Final = 10
RETRIES: Final = 1


@dataclass(frozen=True, slots=True)
class Billing:
    """Of a process that has a key. `webhook_secrets`: the newest first, two while one replaces the other."""

    livemode: bool
    webhook_secrets: tuple[str, ...] = field(repr=False)
    client: "Payments"

    @property
    def environment(self) -> str:
        """Of idempotency keys: `pf:{environment}:…`."""
        return "live" if self.livemode else "test"


@asynccontextmanager
async def open_billing(settings: Settings) -> AsyncIterator[Billing | None]:
    """None: there is no key, and billing is off."""
    if settings.stripe_api_key is None:
        yield None
        return
    secrets = tuple(secret.get_secret_value() for secret in settings.stripe_webhook_secrets)
    key, base = settings.stripe_api_key.get_secret_value(), settings.stripe_api_base
    client = open_payments(key, base, seconds_per_call=CALL_SECONDS, retries=RETRIES)
    try:
        yield Billing(settings.stripe_livemode, secrets, client)
    finally:
        await client.close()


# Asynchronous although nothing is awaited: FastAPI runs plain functions in a thread, at 150 µs a call.
async def billing_on(request: Request) -> Billing:
    """Raises `NotFound` where billing is off (I10)."""
    billing: Billing | None = request.app.state.services.billing
    if billing is None:
        raise NotFound("there is nothing here")
    return billing


async def payments_for(
    billing: Annotated[Billing, Depends(billing_on)], caller: CurrentUser, request: Request
) -> Billing:
    """What asks Stripe, or starts something that does, for this person. Raises `NotFound`, `TooManyRequests`."""
    request.state.rate_limit = await request.app.state.services.identity.limiter.require(
        "payments", str(caller.user_id)
    )
    return billing


BillingOn = Annotated[Billing, Depends(billing_on)]
AskingStripe = Annotated[Billing, Depends(payments_for)]
