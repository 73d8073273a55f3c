"""Connected calendars, as whoever rings or shows them needs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# A member's calendar shows what the member sees; a sitter's does not: what they were lent ends by itself.
_OF_HOUSEHOLD: Final = text(
    """SELECT l.id, l.user_id, c.provider
         FROM memberships m
         JOIN calendar_links l ON l.user_id = m.user_id
         JOIN calendar_connections c ON c.id = l.connection_id
        WHERE m.household_id = :household_id AND m.left_at IS NULL AND c.state IN ('connecting', 'active')
        ORDER BY l.id"""
)
_NEWS: Final = text("UPDATE calendar_links SET news = news + 1 WHERE id = :id")


@dataclass(frozen=True, slots=True)
class LinkRef:
    """A calendar, and whose it is."""

    id: UUID
    user_id: UUID
    provider: str


async def of_household(session: AsyncSession, household_id: UUID) -> Sequence[LinkRef]:
    """The calendars that members of a household have connected, and that are not paused."""
    rows = await session.execute(_OF_HOUSEHOLD, {"household_id": household_id})
    return [LinkRef(*row) for row in rows]


async def bring_news(session: AsyncSession, link_id: UUID) -> None:
    """The calendar may have changed at its provider: its list is to be read."""
    await session.execute(_NEWS, {"id": link_id})
