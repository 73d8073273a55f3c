"""Stripe's SDK, pinned: one client per event loop, the SDK's own retries as told, every refusal in our own words.

Loaded through `integrations.payments.factory` alone: the SDK costs 27 MB and 0.4 s, and only processes that speak to
Stripe pay for it.
"""

from typing import Any, Final

import httpx
import stripe

from integrations.payments.owners import PaymentOwners
from integrations.payments.reads import PaymentReads
from integrations.payments.writes import PaymentWrites

PIN: Final = "2026-10-28.endive"
"""Of client and webhook endpoint alike: payloads come in the endpoint's version. A test compares it with the SDK's."""
_SERVERS: Final = ("api", "files", "connect", "meter_events")


class Payments(PaymentReads, PaymentOwners, PaymentWrites):
    """Everything we ask of Stripe."""

    def __init__(
        self,
        api_key: str,
        base: str | None = None,
        *,
        seconds_per_call: float,
        retries: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = stripe.HTTPXClient(timeout=seconds_per_call)
        if transport is not None:
            self._http._client_async = httpx.AsyncClient(transport=transport)
        self._client = stripe.StripeClient(
            api_key,
            stripe_version=PIN,
            max_network_retries=retries,
            base_addresses=_everywhere(base) if base else None,
            http_client=self._http,
        )
        self._api = self._client.v1

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close_async()  # type: ignore[no-untyped-call]


def _everywhere(base: str) -> Any:
    return dict.fromkeys(_SERVERS, base)
