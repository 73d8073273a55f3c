"""What lost where both sides had changed the same: listed for the person whose calendar it is, and put back once."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database, raw_connection
from models.calendar_sync import CalendarConflict, CalendarLink
from models.queries.access import found_in
from models.queries.clock import database_now

# The values are the person's own; the title is the household's, for whoever still reaches the event.
_SHOWN: Final = """
SELECT f.id, f.field, f.original, f.values_ct, f.winner, f.created_at, f.restored_at, e.appointment_id, e.reminder_id,
       l.connection_id, c.provider, t.title_ct AS appointment_ct, r.title_ct AS reminder_ct
  FROM calendar_conflicts f
  JOIN calendar_links l ON l.id = f.calendar_link_id
  JOIN calendar_connections c ON c.id = l.connection_id
  JOIN event_links e ON e.id = f.event_link_id
  LEFT JOIN appointments t ON t.id = e.appointment_id AND t.deleted_at IS NULL AND EXISTS (
       SELECT FROM pet_access a WHERE a.user_id = l.user_id AND a.household_id = t.household_id AND a.role <> 'admin'
          AND (a.pet_id IS NULL OR a.pet_id = t.pet_id))
  LEFT JOIN reminders r ON r.id = e.reminder_id AND r.deleted_at IS NULL AND EXISTS (
       SELECT FROM pet_access a WHERE a.user_id = l.user_id AND a.household_id = r.household_id AND a.role <> 'admin'
          AND (a.pet_id IS NULL OR a.pet_id = r.pet_id))
 WHERE l.user_id = $1"""
PAGE: Final = _SHOWN + " AND ($2::uuid IS NULL OR f.id < $2) ORDER BY f.id DESC LIMIT $3"
_ONE: Final = _SHOWN + " AND f.id = $2"


async def page(db: Database, user_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """Of all the person's calendars, the newest first, before an id."""
    return await db.reads.fetch(PAGE, user_id, before, limit)


async def find_in(session: AsyncSession, user_id: UUID, conflict_id: UUID) -> asyncpg.Record:
    """One of them, in this transaction."""
    await session.flush()
    return found_in(await (await raw_connection(session)).fetchrow(_ONE, user_id, conflict_id))


async def lock(session: AsyncSession, user_id: UUID, conflict_id: UUID) -> CalendarConflict | None:
    """One of this person's."""
    query = (
        select(CalendarConflict)
        .join(CalendarLink, col(CalendarLink.id) == col(CalendarConflict.calendar_link_id))
        .where(col(CalendarConflict.id) == conflict_id, col(CalendarLink.user_id) == user_id)
        .with_for_update(of=CalendarConflict)
    )
    return (await session.scalars(query)).one_or_none()


async def mark_restored(session: AsyncSession, conflict: CalendarConflict) -> None:
    """The value that lost stands again. The conflict is locked."""
    conflict.restored_at = await database_now(session)
    await session.flush()
