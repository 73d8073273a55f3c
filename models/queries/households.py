"""Households and who belongs to them.

Whoever changes a membership locks the household's row first: of two owners who leave at once, the second one is judged
by what the first one left behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database, raw_connection
from core.read_pool import ReadPool
from domain.access import Access, Role
from models.household import Household, Membership
from models.queries.access import OWN, pet_access
from models.user import User, UserState

_PERSONAL = """
    SELECT household_id FROM memberships
     WHERE user_id = $1 AND left_at IS NULL AND role = 'owner'
     ORDER BY id LIMIT 1"""
# A sitter has a row of the view for each pet: one of them says it all. Whoever has a way of their own takes that one.
_HOUSEHOLD = """
SELECT h.id, h.version, h.name_ct, h.home_tzid, h.country, h.currency, h.created_at, h.updated_at, a.role, a.actions
  FROM (SELECT DISTINCT ON (household_id) household_id, role, actions FROM pet_access
         WHERE user_id = $1 ORDER BY household_id, role = 'admin', role) a
  JOIN households h ON h.id = a.household_id
 WHERE """
_ONE = _HOUSEHOLD + "h.id = $2"
_PAGE = _HOUSEHOLD + f"{OWN} AND ($2::uuid IS NULL OR h.id > $2) ORDER BY h.id LIMIT $3"
_MEMBERS = """
SELECT m.id, m.user_id, m.role, m.created_at AS joined_at, u.first_name_ct, u.last_name_ct
  FROM memberships m JOIN users u ON u.id = m.user_id
 WHERE m.household_id = $1 AND m.left_at IS NULL AND ($2::uuid IS NULL OR m.id > $2)
 ORDER BY m.id LIMIT $3"""
_ACCESS = text(
    """SELECT role, actions FROM pet_access WHERE user_id = :user_id AND household_id = :household_id
        ORDER BY role LIMIT 1"""
)
# FOR UPDATE: whoever is putting something into it is waited for, and whoever would, waits and finds no way in.
_CLOSE = text("SELECT id FROM households WHERE id = :id FOR UPDATE")
_HAS_PETS = text(
    """SELECT EXISTS (SELECT FROM pets WHERE household_id = :id AND deleted_at IS NULL)
           OR EXISTS (SELECT FROM pet_transfers
                       WHERE to_household_id = :id AND state = 'accepted' AND moved_at IS NULL)"""
)
_COUNTS = text(
    """SELECT (SELECT count(*) FROM memberships WHERE household_id = :household_id AND left_at IS NULL) AS members,
              (SELECT count(*) FROM memberships WHERE user_id = :user_id AND left_at IS NULL) AS households"""
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Members of a household, and households of a person."""

    members: int
    households: int


async def create(session: AsyncSession, household: Household, owner_id: UUID) -> None:
    """A home with its first owner. The household's key exists already."""
    session.add(household)
    await session.flush()  # no relationship tells SQLAlchemy that the membership comes second
    await join(session, household.id, owner_id, Role.OWNER)


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


async def active_owners(session: AsyncSession, household_id: UUID) -> tuple[UUID, ...]:
    """Those of its owners who can sign in: an account that is closed leaves nobody in charge."""
    active = select(col(User.id)).where(col(User.state) == UserState.ACTIVE)
    query = select(col(Membership.user_id)).where(
        col(Membership.household_id) == household_id,
        col(Membership.role) == Role.OWNER,
        col(Membership.left_at).is_(None),
        col(Membership.user_id).in_(active),
    )
    return tuple(await session.scalars(query))


async def personal_household(reads: ReadPool, user_id: UUID) -> UUID | None:
    """Where a person's new pets go when they do not say: the first household they own. Made at registration."""
    found: UUID | None = await reads.fetchval(_PERSONAL, user_id)
    return found


async def find(db: Database, user_id: UUID, household_id: UUID) -> asyncpg.Record | None:
    """The household as `user_id` may see it, with the role by which they do."""
    return await db.reads.fetchrow(_ONE, user_id, household_id)


async def find_in(session: AsyncSession, user_id: UUID, household_id: UUID) -> asyncpg.Record:
    """`find` inside the transaction that has just written it."""
    await session.flush()
    return await (await raw_connection(session)).fetchrow(_ONE, user_id, household_id)


async def page(db: Database, user_id: UUID, after: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """All households that a person comes to, oldest first, after an id."""
    return await db.reads.fetch(_PAGE, user_id, after, limit)


async def members(db: Database, household_id: UUID, after: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """Who belongs to a household, with sealed names, in the order they came, after the id of a membership."""
    return await db.reads.fetch(_MEMBERS, household_id, after, limit)


async def lock(session: AsyncSession, user_id: UUID, household_id: UUID) -> tuple[Household, Access] | None:
    """The household's row for a write, with the access this person has once they hold the lock."""
    mine = select(pet_access.c.household_id).where(pet_access.c.user_id == user_id)
    household = await _locked(session, household_id, col(Household.id).in_(mine))
    if household is None:
        return None
    found = (await session.execute(_ACCESS, {"user_id": user_id, "household_id": household_id})).one_or_none()
    return None if found is None else (household, Access.of(found.role, found.actions, read_only=False))


async def lock_all(session: AsyncSession, household_ids: Sequence[UUID]) -> None:
    """Lock these households for those who act by another word than a role in them, in the order everybody locks in."""
    for household_id in sorted(set(household_ids)):
        await _locked(session, household_id)


async def access(session: AsyncSession, user_id: UUID, household_id: UUID) -> Access | None:
    """What a person may do in a household; None: nothing."""
    found = (await session.execute(_ACCESS, {"user_id": user_id, "household_id": household_id})).one_or_none()
    return None if found is None else Access.of(found.role, found.actions, read_only=False)


async def roles(session: AsyncSession, household_id: UUID) -> dict[UUID, Role]:
    """Everybody who belongs to it, in the order they came."""
    rows = select(col(Membership.user_id), col(Membership.role)).where(
        col(Membership.household_id) == household_id, col(Membership.left_at).is_(None)
    )
    found = await session.execute(rows.order_by(col(Membership.id)))
    return {user_id: Role(role) for user_id, role in found}


async def counts(session: AsyncSession, household_id: UUID, user_id: UUID) -> Counts:
    """For the limits."""
    row = (await session.execute(_COUNTS, {"household_id": household_id, "user_id": user_id})).one()
    return Counts(row.members, row.households)


async def close(session: AsyncSession, household_id: UUID) -> bool:
    """Let nothing come to it from now on, if it has no pets and none are on their way; answers whether that is so. Its
    row is locked already."""
    await session.execute(_CLOSE, {"id": household_id})
    return not (await session.execute(_HAS_PETS, {"id": household_id})).scalar_one()


async def join(session: AsyncSession, household_id: UUID, user_id: UUID, role: Role) -> None:
    """Make somebody a member. They are none yet."""
    session.add(Membership(household_id=household_id, user_id=user_id, role=role))
    await session.flush()


async def set_role(session: AsyncSession, household_id: UUID, user_id: UUID, role: Role) -> None:
    """Another role for a member."""
    await _change(session, household_id, user_id, {"role": role})


async def part(session: AsyncSession, household_id: UUID, user_id: UUID) -> None:
    """End a membership. The row stays: what somebody did remains theirs."""
    await _change(session, household_id, user_id, {"left_at": text("clock_timestamp()")})


async def _change(session: AsyncSession, household_id: UUID, user_id: UUID, values: dict[str, object]) -> None:
    await session.execute(
        update(Membership)
        .where(
            col(Membership.household_id) == household_id,
            col(Membership.user_id) == user_id,
            col(Membership.left_at).is_(None),
        )
        .values(values)
        .execution_options(synchronize_session=False)
    )


async def _locked(session: AsyncSession, household_id: UUID, *conditions: object) -> Household | None:
    # FOR NO KEY UPDATE: rows that refer to the household can be inserted meanwhile.
    query = select(Household).where(col(Household.id) == household_id, *conditions)  # type: ignore[arg-type]
    return (await session.scalars(query.with_for_update(key_share=True, of=Household))).one_or_none()
