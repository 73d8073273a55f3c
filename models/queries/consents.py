"""The consent ledger: events are added, never changed; the last one of a purpose is its state."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.ids import new_id
from core.read_pool import ReadPool
from domain.consent import ConsentAction, ConsentSource, Purpose
from models.notification import Consent

LATEST = """
SELECT DISTINCT ON (purpose) purpose, action, wording, source, created_at FROM consents
 WHERE user_id = $1 ORDER BY purpose, id DESC"""


async def latest(reads: ReadPool, user_id: UUID) -> Sequence[asyncpg.Record]:
    """The last event of each purpose that has one."""
    return await reads.fetch(LATEST, user_id)


async def last(session: AsyncSession, user_id: UUID, purpose: Purpose) -> Consent | None:
    """The last event of a purpose."""
    events = select(Consent).where(col(Consent.user_id) == user_id, col(Consent.purpose) == purpose)
    return (await session.scalars(events.order_by(col(Consent.id).desc()).limit(1))).one_or_none()


async def add(
    session: AsyncSession,
    user_id: UUID,
    purpose: Purpose,
    action: ConsentAction,
    *,
    after: Consent | None,
    wording: str,
    text_hash: bytes,
    source: ConsentSource,
    ip_trunc: str | None,
) -> Consent:
    """One event more. The person's choices are locked (`notification_preferences.lock`), `after` is the last event."""
    # Ids come from the clocks of several processes; a withdrawal must not sort before the grant it takes back.
    event_id = new_id() if after is None else max(new_id(), UUID(int=after.id.int + 1))
    event = Consent(
        id=event_id,
        user_id=user_id,
        purpose=purpose,
        wording=wording,
        text_hash=text_hash,
        action=action,
        source=source,
        ip_trunc=ip_trunc,
    )
    session.add(event)
    await session.flush()
    await session.refresh(event)
    return event
