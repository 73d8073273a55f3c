"""Media as people see them: reads that authorise in the query. A media is a link; what is half-done is in no list."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database, raw_connection
from domain.access import Access
from models.media import MediaAsset, MediaLink
from models.pet import Pet
from models.queries.access import found_in, pet_access, reached, reaches
from models.queries.limits import beyond
from models.queries.media_use import reread

_COLUMNS: Final = """
SELECT l.id, l.household_id, l.pet_id, l.record_id, l.purpose, l.thread_id, l.is_current, l.name_ct, l.by_user_id,
       l.created_at, l.updated_at, l.version, m.id AS asset_id, m.stored_under, m.state, m.stage, m.percent, m.reason,
       coalesce(m.content_type, m.declared_type) AS content_type, m.declared_bytes AS size, m.width, m.height, m.pages,
       m.animated, m.thumbhash, CASE WHEN l.keeps_captured_at THEN m.captured_at_ct END AS captured_at_ct,
       a.role, a.actions,
       array(SELECT row(v.name, v.content_type, v.size, v.width, v.height)
             FROM media_variants v WHERE v.asset_id = m.id ORDER BY v.size, v.name) AS variants
"""
_MINE: Final = f"""
FROM media_links l
JOIN media_assets m ON m.id = l.asset_id
JOIN pets p ON p.id = l.pet_id AND p.deleted_at IS NULL
{reached("l.household_id", "l.pet_id")}
WHERE l.deleted_at IS NULL AND """
_ONE: Final = f"{_COLUMNS}{_MINE} l.id = $2"
_SHOWN: Final = "l.is_current AND m.state = 'ready' AND ($3::uuid IS NULL OR l.id < $3) ORDER BY l.id DESC LIMIT $4"
_OF_PET: Final = f"{_COLUMNS}{_MINE} l.pet_id = $2 AND {_SHOWN}"
_OF_RECORD: Final = f"{_COLUMNS}{_MINE} l.record_id = $2 AND {_SHOWN}"
_VERSIONS: Final = f"""{_COLUMNS}{_MINE} l.thread_id = $2 AND m.state = 'ready' AND ($3::uuid IS NULL OR l.id < $3)
 ORDER BY l.id DESC LIMIT $4"""


async def find(db: Database, user_id: UUID, media_id: UUID) -> asyncpg.Record | None:
    """One of them, in whatever state, as `user_id` may see it."""
    return await db.reads.fetchrow(_ONE, user_id, media_id)


async def find_in(session: AsyncSession, user_id: UUID, media_id: UUID) -> asyncpg.Record:
    """`find` inside the transaction that has just written it. Raises as `found_in`."""
    await session.flush()
    return found_in(await (await raw_connection(session)).fetchrow(_ONE, user_id, media_id))


async def of_pet(
    db: Database, user_id: UUID, pet_id: UUID, before: UUID | None, limit: int
) -> Sequence[asyncpg.Record]:
    """What can be looked at of a pet, attachments of its diary included, the newest first, before an id."""
    return await db.reads.fetch(_OF_PET, user_id, pet_id, before, limit)


async def of_record(
    db: Database, user_id: UUID, record_id: UUID, before: UUID | None, limit: int
) -> Sequence[asyncpg.Record]:
    """What is attached to an entry of a diary."""
    return await db.reads.fetch(_OF_RECORD, user_id, record_id, before, limit)


async def versions(
    db: Database, user_id: UUID, thread_id: UUID, before: UUID | None, limit: int
) -> Sequence[asyncpg.Record]:
    """All versions of one thing that can be looked at."""
    return await db.reads.fetch(_VERSIONS, user_id, thread_id, before, limit)


async def lock(session: AsyncSession, user_id: UUID, media_id: UUID) -> tuple[MediaLink, Access] | None:
    """The link's row for a write, with the access this person has to its pet. Its pet and its content are locked before
    it, as everywhere (`media_use.py`)."""
    statement = (
        select(MediaLink, pet_access.c.role, pet_access.c.actions, literal_column(beyond("pets")))
        .join(Pet, col(Pet.id) == col(MediaLink.pet_id))
        .join(MediaAsset, col(MediaAsset.id) == col(MediaLink.asset_id))
        .join(pet_access, reaches(col(MediaLink.household_id), col(MediaLink.pet_id), user_id))
        .where(col(MediaLink.id) == media_id, col(MediaLink.deleted_at).is_(None), col(Pet.deleted_at).is_(None))
        .with_for_update(of=[Pet, MediaAsset, MediaLink])
    )
    found = await reread(session, statement)
    return None if found is None else (found[0], Access.of(found[1], found[2], read_only=found[3]))
