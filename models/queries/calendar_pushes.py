"""The calendar that a provider's message speaks of: found by its id, rung under its lock."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.read_pool import ReadPool
from models.calendar_sync import CalendarConnection, CalendarLink
from models.queries.calendar_connections import IN_STEP
from models.queries.clock import database_now

CHANNELS: Final = """
SELECT l.id, l.push_channels
  FROM calendar_links l
  JOIN calendar_connections c ON c.id = l.connection_id AND c.state IN ('connecting', 'active')
  JOIN users u ON u.id = l.user_id AND u.state = 'active'
 WHERE l.id = ANY($1::uuid[])"""

Channels = Sequence[Mapping[str, Any]]
"""`calendar_links.push_channels`."""


async def channels(reads: ReadPool, link_ids: Collection[UUID]) -> Mapping[UUID, Channels]:
    """The channels of those calendars of these that are kept in step."""
    found = await reads.fetch(CHANNELS, list(link_ids))
    return {row["id"]: _document(row["push_channels"]) for row in found}


async def lock(session: AsyncSession, link_ids: Collection[UUID]) -> Sequence[tuple[CalendarLink, str]]:
    """These calendars, each with its provider, as far as they are kept in step; locked one after the other."""
    query = (
        select(CalendarLink, col(CalendarConnection.provider))
        .join(CalendarConnection, col(CalendarConnection.id) == col(CalendarLink.connection_id))
        .where(col(CalendarLink.id).in_(link_ids), col(CalendarConnection.state).in_(IN_STEP))
        .order_by(col(CalendarLink.id))
        .with_for_update(of=CalendarLink)
    )
    return [(link, provider) for link, provider in (await session.execute(query)).all()]


async def list_anew(session: AsyncSession, link: CalendarLink) -> None:
    """Messages were lost: the next look reads the whole list. The link is locked."""
    link.cursor = link.page_state = None
    link.full_sync_in_progress = False
    await session.flush()


async def end_channel(session: AsyncSession, link: CalendarLink, channel_id: str) -> None:
    """The provider took it away. The link is locked."""
    link.push_channels = [each for each in link.push_channels if each["id"] != channel_id]
    await session.flush()


async def hurry_channel(session: AsyncSession, link: CalendarLink, channel_id: str) -> None:
    """The provider wants it renewed now: what is past its time is. The link is locked."""
    now = (await database_now(session)).isoformat()
    link.push_channels = [
        {**each, "expires_at": now} if each["id"] == channel_id else each for each in link.push_channels
    ]
    await session.flush()


def _document(value: Any) -> Channels:
    found: Channels = orjson.loads(value) if isinstance(value, str) else value
    return found
