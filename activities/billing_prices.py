"""What plans cost, as Stripe says it: read for people who choose one, never to charge."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from temporalio import activity

from core.db import SessionFactory
from domain.billing.catalogue import CURRENCIES, INTERVALS, tier_of
from integrations.payments.records import Price
from models.queries import billing_prices
from temporal.contracts.billing_reconcile import ReadPrices

if TYPE_CHECKING:
    from integrations.payments.client import Payments


@dataclass(frozen=True, slots=True)
class BillingPriceActivities:
    """See the module."""

    sessions: SessionFactory
    payments: "Payments"

    @activity.defn
    async def read_prices(self, request: ReadPrices) -> int:
        """Store all of them; what is not there any more is not sold any more. How many rows. Raises `PaymentsError`."""
        rows = [row for price in await self.payments.prices() for row in _rows(price, request.now)]
        async with self.sessions.begin() as session:
            await billing_prices.store(session, rows, request.now)
        return len(rows)


def _rows(price: Price, now: datetime) -> Iterable[Mapping[str, Any]]:
    """One per currency; none of a price that is no plan's."""
    tier = tier_of(price.lookup_key, price.metadata, price.product_metadata)
    if tier is None or price.interval not in INTERVALS:
        return
    amounts = {amount.currency: amount for amount in (*price.options, *([price.amount] if price.amount else []))}
    for currency in CURRENCIES:
        if currency in amounts:
            yield {
                "price_id": price.id,
                "currency": currency,
                "lookup_key": price.lookup_key,
                "tier": tier.value,
                "interval": price.interval,
                "amount_minor": amounts[currency].amount,
                "active": price.is_active,
                "synced_at": now,
            }
