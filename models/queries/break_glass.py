"""Operators' looks into households: opened with a reason, over by the clock of the statement."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database
from models.household import BreakGlass
from models.queries.clock import database_now

LASTS: Final = timedelta(minutes=30)

_OPEN = """
SELECT id, household_id, created_at, expires_at FROM break_glass
 WHERE staff_id = $1 AND ended_at IS NULL AND expires_at > statement_timestamp() ORDER BY id"""
_HOMES_OF = """
SELECT m.household_id, m.user_id, m.role FROM users u
  JOIN memberships m ON m.user_id = u.id AND m.left_at IS NULL WHERE u.email_bidx = $1 ORDER BY m.id"""
_CONTENT = text(
    """SELECT h.created_at, h.home_tzid,
              ARRAY(SELECT jsonb_build_object('user_id', m.user_id, 'role', m.role) FROM memberships m
                     WHERE m.household_id = h.id AND m.left_at IS NULL ORDER BY m.id) AS members,
              ARRAY(SELECT p.id FROM pets p WHERE p.household_id = h.id AND p.deleted_at IS NULL ORDER BY p.id) AS pets,
              ARRAY(SELECT jsonb_build_object('id', r.id, 'pet_id', r.pet_id, 'state', r.state) FROM reminders r
                     WHERE r.household_id = h.id AND r.deleted_at IS NULL ORDER BY r.id) AS reminders
         FROM households h
         JOIN pet_access a ON a.household_id = h.id AND a.user_id = :staff_id AND a.role = 'admin'
        WHERE h.id = :id"""
)


async def open_ones(db: Database, staff_id: UUID) -> Sequence[asyncpg.Record]:
    """Where this operator may look now."""
    return await db.reads.fetch(_OPEN, staff_id)


async def homes_of(db: Database, email_bidx: bytes) -> Sequence[asyncpg.Record]:
    """The households of an address: what somebody who asks for help can name."""
    return await db.reads.fetch(_HOMES_OF, email_bidx)


async def lock(session: AsyncSession, household_id: UUID) -> bool:
    """Whether there is such a household, locked: of an operator's looks at once the second sees the first."""
    query = text("SELECT true FROM households WHERE id = :id FOR NO KEY UPDATE")
    found = await session.execute(query, {"id": household_id})
    return found.scalar_one_or_none() is True


async def reaches(session: AsyncSession, user_id: UUID, household_id: UUID) -> bool:
    """Whether this person comes to the household anyway."""
    query = text("SELECT true FROM pet_access WHERE user_id = :user_id AND household_id = :id LIMIT 1")
    found = await session.execute(query, {"user_id": user_id, "id": household_id})
    return found.scalar_one_or_none() is True


async def add(session: AsyncSession, look: BreakGlass) -> BreakGlass:
    """Begin a look; its end is set here, by the clock that ends it."""
    look.expires_at = await database_now(session) + LASTS
    session.add(look)
    await session.flush()
    return look


async def end(session: AsyncSession, staff_id: UUID, look_id: UUID) -> UUID | None:
    """End one's own look; answers the household. None: there is no such look, or it is over."""
    ended = await session.execute(
        update(BreakGlass)
        .where(
            col(BreakGlass.id) == look_id,
            col(BreakGlass.staff_id) == staff_id,
            col(BreakGlass.ended_at).is_(None),
            col(BreakGlass.expires_at) > func.clock_timestamp(),
        )
        .values(ended_at=func.clock_timestamp())
        .returning(col(BreakGlass.household_id))
    )
    found: UUID | None = ended.scalar_one_or_none()
    return found


async def content(session: AsyncSession, staff_id: UUID, household_id: UUID) -> asyncpg.Record | None:
    """What there is to look at, by id. None where this operator may not look now."""
    found = await session.execute(_CONTENT, {"staff_id": staff_id, "id": household_id})
    return found.mappings().one_or_none()
