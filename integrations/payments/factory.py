"""Opens the client of Stripe where there is a key, and loads its SDK only then."""

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from integrations.payments.client import Payments


def open_payments(
    api_key: str,
    base: str | None = None,
    *,
    seconds_per_call: float = 20,
    retries: int = 0,
    transport: httpx.AsyncBaseTransport | None = None,
) -> "Payments":
    """One client, of one event loop; `close` it. Workers leave retries to Temporal; the api, whose callers wait, takes
    10 s and one retry. `base` is Stripe itself where there is none."""
    # Stripe's SDK costs a process 27 MB and 0.4 s (measured); those without a key go without it.
    from integrations.payments.client import Payments  # noqa: PLC0415

    return Payments(api_key, base, seconds_per_call=seconds_per_call, retries=retries, transport=transport)
