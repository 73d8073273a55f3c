"""What the caller may see of long-running work, from rows: Temporal is never asked for lists."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from core.db import Database
from models.queries.access import OWN, reached

# Access is part of the query, as for pets: a foreign id finds nothing.
_REMINDER = f"""
SELECT r.id, r.household_id, r.state, r.next_at, r.created_at, r.updated_at, a.role, a.actions
  FROM reminders r
  {reached("r.household_id", "r.pet_id")}
 WHERE r.deleted_at IS NULL AND """  # noqa: S608 - our own words
_REMINDERS = _REMINDER + OWN + " AND ($2::uuid IS NULL OR r.id > $2) ORDER BY r.id LIMIT $3"
_ONE_REMINDER = _REMINDER + "r.household_id = $2 AND r.id = $3"
_ONE_SEARCH = f"""
SELECT c.id, c.pet_id, c.household_id, c.state, c.created_at, c.updated_at, a.role, a.actions
  FROM lost_cases c
  {reached("c.household_id", "c.pet_id")}
 WHERE c.household_id = $2 AND c.id = $3"""  # noqa: S608 - our own words
_ONE_MAIL = """
SELECT id, user_id, state, template, created_at, at AS updated_at
  FROM deliveries WHERE user_id = $1 AND id = $2 AND channel = 'email' AND occurrence_id IS NULL"""


async def reminders(db: Database, user_id: UUID, after: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """Reminders of all the user's households, oldest first, after an id."""
    return await db.reads.fetch(_REMINDERS, user_id, after, limit)


async def reminder(db: Database, user_id: UUID, household_id: UUID, reminder_id: UUID) -> asyncpg.Record | None:
    """One of them, if it lives in that household."""
    return await db.reads.fetchrow(_ONE_REMINDER, user_id, household_id, reminder_id)


async def search(db: Database, user_id: UUID, household_id: UUID, case_id: UUID) -> asyncpg.Record | None:
    """A search for a lost pet, by this household."""
    return await db.reads.fetchrow(_ONE_SEARCH, user_id, household_id, case_id)


async def mail(db: Database, user_id: UUID, delivery_id: UUID) -> asyncpg.Record | None:
    """A mail to the user that is no reminder: verification, notices."""
    return await db.reads.fetchrow(_ONE_MAIL, user_id, delivery_id)
