"""What a household has of what its plan holds, by the clock of the statement: a grace that ran out needs no worker.

The one source of that: `beyond` is joined by whoever locks a pet, or what belongs to one, for a write, and by the reads
that show it; `check_room` is asked under the household's lock by whoever puts a pet into it. An id of ours begins with
the time it was made: the pets of a household were added in the order of their ids.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.billing import limits
from domain.billing.catalogue import LIMITS, Tier, highest

_FEWEST: Final = LIMITS[Tier.FREE].pets
_HOLDS: Final = f"'{{{','.join(LIMITS)}}}', '{{{','.join(str(each.pets) for each in LIMITS.values())}}}'"
"""The plans, and what each holds: two arrays for `household_holds` (migration 0011)."""


def living(pet: str) -> str:
    """SQL: a pet that died, was archived or given away takes no room."""
    return f"{pet}.deleted_at IS NULL AND {pet}.status IN ('active', 'lost')"


def beyond(pet: str) -> str:
    """SQL: whether the pet of this alias is more than its household's plan holds; it keeps the earliest. No plan is
    looked for where the smallest is enough, and no more pets are counted than the plan holds."""
    household = f"{pet}.household_id"
    earlier = (
        f"SELECT FROM pets older WHERE older.household_id = {household} AND older.id < {pet}.id AND {living('older')}"
    )
    return f"""({living(pet)} AND EXISTS ({earlier} OFFSET {_FEWEST - 1})
                AND EXISTS ({earlier} OFFSET household_holds({household}, {_HOLDS}) - 1))"""


def beyond_of(pet_id: str) -> str:
    """SQL: `beyond` for what belongs to the pet with this id; false where that is NULL: it belongs to none."""
    return f"coalesce((SELECT {beyond('its_pet')} FROM pets its_pet WHERE its_pet.id = {pet_id}), false)"  # noqa: S608 - our own words


_ANY_BEYOND: Final = text(f"SELECT EXISTS (SELECT FROM pets p WHERE p.id = ANY(:ids) AND {beyond('p')})")  # noqa: S608
_ROOM: Final = text(
    f"""SELECT ARRAY(SELECT n.tier FROM memberships m JOIN entitlements n ON n.account_id = m.user_id
                     WHERE m.household_id = :id AND m.role = 'owner' AND m.left_at IS NULL
                       AND (n.grace_until IS NULL OR n.grace_until > statement_timestamp())) AS tiers,
              (SELECT count(*) FROM pets p WHERE p.household_id = :id AND {living("p")})
              + (SELECT count(*) FROM pet_transfers t
                  WHERE t.to_household_id = :id AND t.state = 'accepted' AND t.moved_at IS NULL) AS pets"""  # noqa: S608
)


_TIERS: Final = text(
    """SELECT n.tier FROM memberships m JOIN entitlements n ON n.account_id = m.user_id
        WHERE m.household_id = :id AND m.role = 'owner' AND m.left_at IS NULL
          AND (n.grace_until IS NULL OR n.grace_until > statement_timestamp())"""
)


async def storage(session: AsyncSession, household_id: UUID) -> int:
    """How many bytes of media the household may have."""
    tiers = (await session.execute(_TIERS, {"id": household_id})).scalars()
    return LIMITS[highest(*map(Tier, tiers))].storage_bytes


async def check_room(session: AsyncSession, household_id: UUID) -> None:
    """Whether the household, which is locked, may have one more pet: those on their way to it are counted. Raises
    `PlanLimit`."""
    row = (await session.execute(_ROOM, {"id": household_id})).one()
    limits.check_room(highest(*map(Tier, row.tiers)), row.pets)


async def check_writable(session: AsyncSession, pet_ids: Iterable[UUID]) -> None:
    """Whether all of these pets may be changed. Raises `PetReadOnly`."""
    found = await session.execute(_ANY_BEYOND, {"ids": list(pet_ids)})
    limits.check_writable(read_only=bool(found.scalar_one()))
