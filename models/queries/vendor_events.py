"""What vendors tell about people, each handled once."""

from datetime import datetime

import asyncpg
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.read_pool import ReadPool
from models.webhook import WebhookEvent

_PROCESSED = "SELECT processed_at FROM webhook_events WHERE provider = $1 AND event_id = $2"


async def claim(session: AsyncSession, provider: str, event_id: str) -> bool:
    """Whether it is for the caller to act on: False when that was done. Committed together with what it causes; of two
    at once the second waits for the first."""
    row = insert(WebhookEvent).values(provider=provider, event_id=event_id, processed_at=func.clock_timestamp())
    claimed = row.on_conflict_do_nothing().returning(col(WebhookEvent.event_id))
    return (await session.scalars(claimed)).one_or_none() is not None


async def processed_at(reads: ReadPool, provider: str, event_id: str) -> datetime | None:
    """When it was acted on; None for one that never came."""
    row: asyncpg.Record | None = await reads.fetchrow(_PROCESSED, provider, event_id)
    return row["processed_at"] if row else None
