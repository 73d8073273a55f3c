"""Which reminders something concerns, by id, in the order in which everybody locks them; ended ones are left out."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_FOLLOWING_USER = text(
    """SELECT id FROM reminders WHERE user_id = :user_id AND schedule->>'tz_mode' = 'follow_user'
          AND state <> 'ended' AND deleted_at IS NULL ORDER BY id"""
)
_FOLLOWING_HOME = text(
    """SELECT id FROM reminders WHERE household_id = :household_id AND schedule->>'tz_mode' = 'pet_home'
          AND (CAST(:pet_id AS uuid) IS NULL OR pet_id = :pet_id)
          AND state <> 'ended' AND deleted_at IS NULL ORDER BY id"""
)
_MADE_BY = text(
    """SELECT id FROM reminders WHERE household_id = :household_id AND user_id = :user_id
          AND state <> 'ended' AND deleted_at IS NULL ORDER BY id"""
)
_OF_HOUSEHOLD = text(
    "SELECT id FROM reminders WHERE household_id = :id AND state <> 'ended' AND deleted_at IS NULL ORDER BY id"
)
_OF_PET = text(
    "SELECT id FROM reminders WHERE pet_id = :pet_id AND state <> 'ended' AND deleted_at IS NULL ORDER BY id"
)


async def following_user(session: AsyncSession, user_id: UUID) -> list[UUID]:
    """Reminders on this person's clock, in the order in which everybody locks."""
    return list((await session.execute(_FOLLOWING_USER, {"user_id": user_id})).scalars())


async def following_home(session: AsyncSession, household_id: UUID, pet_id: UUID | None) -> list[UUID]:
    """Reminders on the clock of this household, or of one pet of it."""
    values = {"household_id": household_id, "pet_id": pet_id}
    return list((await session.execute(_FOLLOWING_HOME, values)).scalars())


async def made_by(session: AsyncSession, user_id: UUID, household_id: UUID) -> list[UUID]:
    """Reminders that this person made in this household, and that still say something."""
    values = {"user_id": user_id, "household_id": household_id}
    return list((await session.execute(_MADE_BY, values)).scalars())


async def of_household(session: AsyncSession, household_id: UUID) -> list[UUID]:
    """Reminders of this household, whoever made them."""
    return list((await session.execute(_OF_HOUSEHOLD, {"id": household_id})).scalars())


async def of_pet(session: AsyncSession, pet_id: UUID) -> list[UUID]:
    """Reminders of this pet that still say something."""
    return list((await session.execute(_OF_PET, {"pet_id": pet_id})).scalars())
