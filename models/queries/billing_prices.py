"""What plans cost, as it was read at Stripe."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import BillingPrice

_END_OTHERS: Final = text("UPDATE billing_prices SET active = false WHERE synced_at < :now AND active")


async def store(session: AsyncSession, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """These, as of now, are all there are."""
    for row in rows:
        price = insert(BillingPrice).values(dict(row))
        changed = {name: price.excluded[name] for name in row if name not in ("price_id", "currency")}
        await session.execute(price.on_conflict_do_update(index_elements=["price_id", "currency"], set_=changed))
    await session.execute(_END_OTHERS, {"now": now})
