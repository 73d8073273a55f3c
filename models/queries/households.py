"""Households and who belongs to them."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

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


async def personal_household(reads: ReadPool, user_id: UUID) -> UUID | None:
    """Where a person's new pets go when they do not say: the first household they own. Made at registration."""
    found: UUID | None = await reads.fetchval(_PERSONAL, user_id)
    return found
