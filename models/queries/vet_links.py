"""What a vet's link opens: found by the hash of its token, for as long as the statement's clock says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from models.household import GrantAccess

_LINK = """
SELECT g.id, g.household_id, g.pet_ids, g.valid_until, g.label_ct FROM grants g
 WHERE g.token_hash = $1 AND g.kind = 'vet' AND g.revoked_at IS NULL
   AND g.valid_from <= statement_timestamp() AND statement_timestamp() < g.valid_until"""
_PETS = """
SELECT p.id, p.name_ct, p.species, p.breed, p.is_mixed, p.sex, p.neutered, p.date_of_birth, p.dob_precision,
       w.grams, w.measured_at,
       array(SELECT row(c.id, c.code_ct, c.code_as_entered_ct, c.standard, c.prefix_kind, c.is_primary, c.disputed,
                        c.implanted_on, c.site)
             FROM microchips c WHERE c.pet_id = p.id AND c.removed_at IS NULL ORDER BY c.id) AS chips
  FROM pets p
  LEFT JOIN LATERAL (SELECT grams, measured_at FROM weights
                      WHERE pet_id = p.id ORDER BY measured_at DESC, id DESC LIMIT 1) w ON true
 WHERE p.id = ANY($1::uuid[]) AND p.household_id = $2 AND p.deleted_at IS NULL ORDER BY p.id"""
_RECORDS = """
SELECT r.id, r.pet_id, r.record_type, r.title_ct, r.description_ct, r.date_administered, r.veterinarian_ct, r.state,
       r.created_at
  FROM health_records r
 WHERE r.pet_id = ANY($1::uuid[]) AND r.household_id = $2 AND r.deleted_at IS NULL
 ORDER BY r.date_administered DESC NULLS LAST, r.id DESC LIMIT $3"""
_MEDICATION = """
SELECT r.id, r.pet_id, r.title_ct, r.description_ct, r.schedule, r.next_at FROM reminders r
 WHERE r.pet_id = ANY($1::uuid[]) AND r.household_id = $2 AND r.deleted_at IS NULL
   AND r.category = 'medication' AND r.state = 'active' ORDER BY r.id"""
ACCESSES: Final = """
SELECT id, created_at, action, ip_trunc, user_agent FROM grant_access_log
 WHERE grant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"""
RECORDS_SHOWN: Final = 500
"""The newest that a vet's link shows: far more than a practice reads."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a vet's link shows, sealed."""

    pets: Sequence[asyncpg.Record]
    records: Sequence[asyncpg.Record]
    medication: Sequence[asyncpg.Record]


async def by_token(db: Database, token_hash: bytes) -> asyncpg.Record | None:
    """The vet's link that this token opens now."""
    return await db.reads.fetchrow(_LINK, token_hash)


async def shown(db: Database, pet_ids: Sequence[UUID], household_id: UUID) -> Shown:
    """What is known of these pets, as far as they still live in this household."""
    pets = await db.reads.fetch(_PETS, list(pet_ids), household_id)
    living = [pet["id"] for pet in pets]
    return Shown(
        pets=pets,
        records=await db.reads.fetch(_RECORDS, living, household_id, RECORDS_SHOWN),
        medication=await db.reads.fetch(_MEDICATION, living, household_id),
    )


async def log_access(session: AsyncSession, access: GrantAccess) -> None:
    """One more use of a link."""
    session.add(access)
    await session.flush()


async def accesses(db: Database, grant_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """Every use of a link, the newest first, before an id."""
    return await db.reads.fetch(ACCESSES, grant_id, before, limit)
