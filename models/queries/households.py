"""Households and who belongs to them."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.read_pool import ReadPool
from domain.access import Role
from models.household import Household, Membership

_PERSONAL = """
    SELECT household_id FROM memberships
     WHERE user_id = $1 AND left_at IS NULL AND role = 'owner'
     ORDER BY id LIMIT 1"""


async def create(session: AsyncSession, household_id: UUID, owner_id: UUID, *, home_tzid: str) -> None:
    """A home with its first owner. The household's key exists already."""
    session.add(Household(id=household_id, home_tzid=home_tzid))
    await session.flush()  # no relationship tells SQLAlchemy that the membership comes second
    session.add(Membership(household_id=household_id, user_id=owner_id, role=Role.OWNER))


async def owners(session: AsyncSession, household_id: UUID) -> tuple[UUID, ...]:
    """The people who own it, the one who was first first."""
    query = (
        select(col(Membership.user_id))
        .where(
            col(Membership.household_id) == household_id,
            col(Membership.role) == Role.OWNER,
            col(Membership.left_at).is_(None),
        )
        .order_by(col(Membership.id))
    )
    return tuple(await session.scalars(query))


async def personal_household(reads: ReadPool, user_id: UUID) -> UUID | None:
    """Where a person's new pets go when they do not say: the first household they own. Made at registration."""
    found: UUID | None = await reads.fetchval(_PERSONAL, user_id)
    return found
