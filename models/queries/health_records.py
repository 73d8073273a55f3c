"""Health records: the diary of a pet, read by page, written under the row's lock."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database, raw_connection
from domain.access import Access
from models.health import HealthRecord, HealthRecordId
from models.pet import Pet
from models.queries.access import found_in, pet_access, reached, reaches
from models.queries.limits import beyond

_COLUMNS = """
SELECT r.id, r.pet_id, r.household_id, r.record_type, r.title_ct, r.description_ct, r.date_administered,
       r.veterinarian_ct, r.state, r.cost_minor, r.currency, r.attachments::text AS attachments, r.created_at,
       r.updated_at, r.version, a.role, a.actions
"""
_MINE = f"""
JOIN pets p ON p.id = r.pet_id AND p.deleted_at IS NULL
{reached("p.household_id", "p.id")}
"""
# By id alone the way leads through the unpartitioned table, so that one partition is read.
_ONE = f"""{_COLUMNS} FROM health_record_ids i JOIN health_records r ON r.pet_id = i.pet_id AND r.id = i.id {_MINE}
WHERE i.id = $2 AND r.deleted_at IS NULL"""
_PAGE = f"""{_COLUMNS} FROM health_records r {_MINE}
WHERE r.pet_id = $2 AND r.deleted_at IS NULL AND ($3::uuid IS NULL OR r.id < $3)
ORDER BY r.id DESC LIMIT $4"""


async def find(db: Database, user_id: UUID, record_id: UUID) -> asyncpg.Record | None:
    """The record as `user_id` may see it."""
    return await db.reads.fetchrow(_ONE, user_id, record_id)


async def find_in(session: AsyncSession, user_id: UUID, record_id: UUID) -> asyncpg.Record:
    """`find` inside the transaction that has just written it. Raises as `found_in`."""
    await session.flush()
    return found_in(await (await raw_connection(session)).fetchrow(_ONE, user_id, record_id))


async def page(db: Database, user_id: UUID, pet_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """The diary of a pet, newest first, before an id."""
    return await db.reads.fetch(_PAGE, user_id, pet_id, before, limit)


async def lock(session: AsyncSession, user_id: UUID, record_id: UUID) -> tuple[HealthRecord, Access] | None:
    """The record's row for a write, with the access this person has to it."""
    statement = (
        select(HealthRecord, pet_access.c.role, pet_access.c.actions, literal_column(beyond("pets")))
        .select_from(HealthRecordId)
        .join(
            HealthRecord,
            (col(HealthRecord.pet_id) == col(HealthRecordId.pet_id)) & (col(HealthRecord.id) == col(HealthRecordId.id)),
        )
        .join(Pet, col(Pet.id) == col(HealthRecord.pet_id))
        .join(pet_access, reaches(col(Pet.household_id), col(Pet.id), user_id))
        .where(
            col(HealthRecordId.id) == record_id,
            col(HealthRecord.deleted_at).is_(None),
            col(Pet.deleted_at).is_(None),
        )
        .with_for_update(of=HealthRecord)
    )
    found = (await session.execute(statement)).first()
    return None if found is None else (found[0], Access.of(found[1], found[2], read_only=found[3]))


async def add(session: AsyncSession, record: HealthRecord) -> None:
    """The record and its entry in the table that makes its id unique across partitions."""
    session.add(HealthRecordId(id=record.id, pet_id=record.pet_id))
    await session.flush()
    session.add(record)
