"""Pets: reads that authorise in the query, and the few writes around them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.crypto import FieldCipher, Subject
from core.db import Database, raw_connection
from core.ids import new_id
from domain.access import Access
from domain.microchip import Microchip as ChipNumber
from domain.weight import Weight as Weighing
from models.pet import Microchip, Pet, Weight
from models.queries.access import OWN, found_in, pet_access, reached, reaches
from models.queries.clock import database_now
from models.queries.limits import beyond

# Access is part of the query: a foreign id finds nothing. One statement, because this is the hottest read there is.
_PET = f"""
SELECT p.id, p.version, p.household_id, p.name_ct, p.species, p.breed, p.is_mixed, p.sex, p.neutered, p.date_of_birth,
       p.dob_precision, p.home_tzid, p.external_photo_url, p.status, p.created_at, p.updated_at,
       w.grams, w.entered_value, w.entered_unit, w.measured_at, a.role, a.actions,
       {beyond("p")} AS read_only, ph.photo_id, ph.asset_id, ph.stored_under, ph.file, ph.file_type,
       array(SELECT o.user_id FROM memberships o
             WHERE o.household_id = p.household_id AND o.role = 'owner' AND o.left_at IS NULL
             ORDER BY o.id) AS owners,
       array(SELECT row(c.id, c.code_ct, c.code_as_entered_ct, c.standard, c.prefix_kind, c.is_primary, c.disputed,
                        c.implanted_on, c.site)
             FROM microchips c WHERE c.pet_id = p.id AND c.removed_at IS NULL ORDER BY c.id) AS chips
FROM pets p
{reached("p.household_id", "p.id")}
LEFT JOIN LATERAL (SELECT grams, entered_value, entered_unit, measured_at FROM weights
                   WHERE pet_id = p.id ORDER BY measured_at DESC, id DESC LIMIT 1) w ON true
LEFT JOIN LATERAL (
    SELECT l.id AS photo_id, l.asset_id, m.stored_under, v.name AS file, v.content_type AS file_type
      FROM media_links l
      JOIN media_assets m ON m.id = l.asset_id
      JOIN media_variants v ON v.asset_id = m.id AND v.content_type = 'image/webp'
                           AND greatest(v.width, v.height) <= 480
     WHERE l.pet_id = p.id AND l.purpose = 'profile_photo' AND l.is_current AND l.deleted_at IS NULL
       AND m.state = 'ready'
     ORDER BY v.width DESC LIMIT 1) ph ON true
WHERE p.deleted_at IS NULL AND """  # noqa: S608 - our own words
_ONE = _PET + "p.id = $2"
_PAGE = _PET + OWN + " AND ($2::uuid IS NULL OR p.id > $2) ORDER BY p.id LIMIT $3"


async def find(db: Database, user_id: UUID, pet_id: UUID) -> asyncpg.Record | None:
    """The pet as `user_id` may see it; None for what does not exist or is not theirs."""
    return await db.reads.fetchrow(_ONE, user_id, pet_id)


async def find_in(session: AsyncSession, user_id: UUID, pet_id: UUID) -> asyncpg.Record:
    """`find` inside the transaction that has just written the pet. Raises `NotFound`: they lost it meanwhile."""
    await session.flush()
    return found_in(await (await raw_connection(session)).fetchrow(_ONE, user_id, pet_id))


async def page(db: Database, user_id: UUID, after: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """Pets of all the user's households, oldest first, after an id."""
    return await db.reads.fetch(_PAGE, user_id, after, limit)


async def lock(session: AsyncSession, user_id: UUID, pet_id: UUID) -> tuple[Pet, Access] | None:
    """The pet's row for a write, with the access this person has to it."""
    statement = (
        select(Pet, pet_access.c.role, pet_access.c.actions, literal_column(beyond("pets")))
        .join(pet_access, reaches(col(Pet.household_id), col(Pet.id), user_id))
        .where(col(Pet.id) == pet_id, col(Pet.deleted_at).is_(None))
        .with_for_update(of=Pet)
    )
    found = (await session.execute(statement)).first()
    return None if found is None else (found[0], Access.of(found[1], found[2], read_only=found[3]))


async def hold(session: AsyncSession, pet_id: UUID) -> UUID | None:
    """The household a pet lives in, where it stays until the end of this transaction; None: it is gone."""
    statement = select(col(Pet.household_id)).where(col(Pet.id) == pet_id, col(Pet.deleted_at).is_(None))
    return (await session.execute(statement.with_for_update(read=True, key_share=True))).scalar_one_or_none()


async def add_weight(session: AsyncSession, pet_id: UUID, weight: Weighing, at: datetime, user_id: UUID) -> None:
    """One more weighing."""
    session.add(
        Weight(
            pet_id=pet_id,
            grams=weight.grams,
            entered_value=weight.value,
            entered_unit=weight.unit,
            measured_at=at,
            by_user_id=user_id,
        )
    )


async def set_primary_chip(
    session: AsyncSession, cipher: FieldCipher, pet: Pet, chip: ChipNumber | None, index: bytes | None
) -> bool:
    """Replace the primary chip, or remove it. A number that another active pet carries is kept as `disputed`: the
    answer says whether it is."""
    await session.execute(
        update(Microchip)
        .where(col(Microchip.pet_id) == pet.id, col(Microchip.is_primary), col(Microchip.removed_at).is_(None))
        .values(removed_at=func.clock_timestamp(), is_primary=False)
    )
    if chip is None or index is None:
        return False
    row_id, subject = new_id(), Subject.household(pet.household_id)
    row = {
        "id": row_id,
        "pet_id": pet.id,
        "code_ct": await cipher.seal(subject, "microchips.code_ct", row_id, chip.code),
        "code_bidx": index,
        "code_as_entered_ct": await cipher.seal(subject, "microchips.code_as_entered_ct", row_id, chip.entered),
        "standard": chip.standard,
        "prefix_kind": chip.prefix_kind,
        "is_primary": True,
        "disputed": False,
    }
    accepted = await session.execute(
        insert(Microchip).values(row).on_conflict_do_nothing().returning(col(Microchip.id))
    )
    if accepted.first() is not None:
        return False
    await session.execute(insert(Microchip).values(row | {"disputed": True}))
    return True


async def retire(session: AsyncSession, pet: Pet) -> None:
    """Take the pet out of every list. Its chips are free for whoever has the animal next."""
    pet.deleted_at = await database_now(session)
    await session.execute(
        update(Microchip)
        .where(col(Microchip.pet_id) == pet.id, col(Microchip.removed_at).is_(None))
        .values(removed_at=func.clock_timestamp(), is_primary=False)
    )


async def home_of(session: AsyncSession, pet_id: UUID) -> tuple[str, str]:
    """(zone, currency) of the home a pet lives in: its own zone where it has one."""
    query = text(
        """
        SELECT coalesce(p.home_tzid, h.home_tzid), h.currency
        FROM pets p JOIN households h ON h.id = p.household_id WHERE p.id = :id
        """
    )
    zone, currency = (await session.execute(query, {"id": pet_id})).one()
    return zone, currency


async def home_zone(session: AsyncSession, household_id: UUID, pet_id: UUID | None) -> str:
    """Where a pet lives, or the household where it is about none."""
    return await household_zone(session, household_id) if pet_id is None else (await home_of(session, pet_id))[0]


async def household_zone(session: AsyncSession, household_id: UUID) -> str:
    """The home zone of a household."""
    query = text("SELECT home_tzid FROM households WHERE id = :id")
    return str((await session.execute(query, {"id": household_id})).scalar_one())
