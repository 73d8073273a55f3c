"""Secret calendar feeds: found by the hash of their token, filled from the reminders of their owner's households."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database
from models.feed import IcsFeed
from models.queries.access import OWN, reached
from models.user import User

READ_AT_STEP: Final = timedelta(hours=1)
"""`last_read_at` is this exact: programs ask often, and a row need not be written each time."""

_OF_USER = """
SELECT id, pet_id, token_ct, last_read_at, created_at FROM ics_feeds
 WHERE user_id = $1 AND revoked_at IS NULL ORDER BY id"""
# A feed ends with its account, its pet and its reader's membership, whoever knows the address.
FIND = f"""
SELECT f.id, f.user_id, f.pet_id, f.last_read_at, p.name_ct AS pet_name_ct
  FROM ics_feeds f JOIN users u ON u.id = f.user_id AND u.state = 'active'
  LEFT JOIN LATERAL (SELECT p.id, p.name_ct FROM pets p {reached("p.household_id", "p.id", by="f.user_id")}
                      WHERE p.id = f.pet_id AND p.deleted_at IS NULL AND {OWN}) p ON true
 WHERE f.token_hash = $1 AND f.revoked_at IS NULL AND (f.pet_id IS NULL OR p.id IS NOT NULL)"""  # noqa: S608 - our own words
REMINDERS = f"""
SELECT r.id, r.pet_id, r.title_ct, r.description_ct, r.schedule, r.next_at, r.updated_at, p.name_ct AS pet_name_ct,
       array(SELECT o.nominal FROM occurrences o
              WHERE o.reminder_id = r.id AND o.schedule_version = r.schedule_version
                AND o.state IN ('skipped', 'cancelled')) AS left_out
  FROM reminders r
  {reached("r.household_id", "r.pet_id")}
  LEFT JOIN pets p ON p.id = r.pet_id
 WHERE {OWN} AND r.deleted_at IS NULL AND r.state = 'active' AND ($2::uuid IS NULL OR r.pet_id = $2)
 ORDER BY r.id"""  # noqa: S608 - our own words
_READ = text(
    """UPDATE ics_feeds SET last_read_at = clock_timestamp()
        WHERE id = :id AND (last_read_at IS NULL OR last_read_at < clock_timestamp() - CAST(:step AS interval))"""
)


async def of_user(db: Database, user_id: UUID) -> Sequence[asyncpg.Record]:
    """The feeds a person has, oldest first."""
    return await db.reads.fetch(_OF_USER, user_id)


async def find(db: Database, token_hash: bytes) -> asyncpg.Record | None:
    """The feed this token opens now."""
    return await db.reads.fetchrow(FIND, token_hash)


async def reminders(db: Database, user_id: UUID, pet_id: UUID | None) -> Sequence[asyncpg.Record]:
    """What still plans something, for all the person's pets or for one, with the nominals that will not take place."""
    return await db.reads.fetch(REMINDERS, user_id, pet_id)


async def count_locked(session: AsyncSession, user_id: UUID) -> int:
    """How many feeds the person has, while nobody adds another."""
    await session.execute(select(col(User.id)).where(col(User.id) == user_id).with_for_update())
    active = select(col(IcsFeed.id)).where(col(IcsFeed.user_id) == user_id, col(IcsFeed.revoked_at).is_(None))
    return len((await session.scalars(active)).all())


async def lock(session: AsyncSession, user_id: UUID, feed_id: UUID) -> IcsFeed | None:
    """One feed of this person, revoked or not."""
    mine = select(IcsFeed).where(col(IcsFeed.id) == feed_id, col(IcsFeed.user_id) == user_id)
    return (await session.scalars(mine.with_for_update())).one_or_none()


async def was_read(session: AsyncSession, feed_id: UUID) -> None:
    """Note that a program has asked, at most once an hour."""
    await session.execute(_READ, {"id": feed_id, "step": READ_AT_STEP})
