"""Appointments as their household reads them. Access is part of each query: a foreign id finds nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database, raw_connection
from models.queries.access import OWN, found_in, reached

Span = tuple[datetime | None, datetime | None]
Overrides = Mapping[UUID, Sequence[asyncpg.Record]]
_APPOINTMENT = f"""
SELECT t.id, t.household_id, t.user_id, t.pet_id, t.title_ct, t.notes_ct, t.location_ct, t.starts_at, t.ends_at, t.tzid,
       t.rrule, t.alarms, t.exdates, t.status, t.starts_utc, t.adopted_link_id, t.created_at, t.updated_at, t.version,
       a.role, a.actions
  FROM appointments t {reached("t.household_id", "t.pet_id")}
 WHERE t.deleted_at IS NULL AND """  # noqa: S608 - our own words
ONE = _APPOINTMENT + "t.id = $2"
_IN_SPAN = """ AND ($2::timestamptz IS NULL OR t.ends_utc IS NULL OR t.ends_utc >= $2)
   AND ($3::timestamptz IS NULL OR t.starts_utc < $3) AND ($4::uuid IS NULL OR t.pet_id = $4)"""
PAGE = (
    _APPOINTMENT
    + OWN
    + _IN_SPAN
    + """ AND ($5::text IS NULL OR t.status = $5) AND ($6::timestamptz IS NULL OR (t.starts_utc, t.id) > ($6, $7::uuid))
 ORDER BY t.starts_utc, t.id LIMIT $8"""
)
IN_SPAN = _APPOINTMENT + OWN + _IN_SPAN + " AND t.status <> 'cancelled' ORDER BY t.starts_utc, t.id LIMIT $5"
OVERRIDES = "SELECT * FROM appointment_overrides WHERE appointment_id = ANY($1::uuid[])"


async def find(db: Database, user_id: UUID, appointment_id: UUID) -> asyncpg.Record | None:
    """One of them."""
    return await db.reads.fetchrow(ONE, user_id, appointment_id)


async def find_in(session: AsyncSession, user_id: UUID, appointment_id: UUID) -> asyncpg.Record:
    """`find` inside the transaction that has just written it. Raises as `found_in`."""
    return found_in(await (await raw_connection(session)).fetchrow(ONE, user_id, appointment_id))


async def page(
    db: Database,
    user_id: UUID,
    span: Span,
    limit: int,
    *,
    pet_id: UUID | None,
    status: str | None,
    after: tuple[datetime, UUID] | None,
) -> Sequence[asyncpg.Record]:
    """Those of all the user's households that may take place in the span, a series as one, by their first start."""
    return await db.reads.fetch(PAGE, user_id, *span, pet_id, status, *(after or (None, None)), limit)


async def in_span(
    db: Database, user_id: UUID, span: Span, limit: int, *, pet_id: UUID | None = None
) -> Sequence[asyncpg.Record]:
    """Those that may take place in the span and were not called off, by their first start, at most `limit`."""
    return await db.reads.fetch(IN_SPAN, user_id, *span, pet_id, limit)


async def overrides(db: Database, rows: Sequence[asyncpg.Record]) -> Overrides:
    """The overrides of these appointments, by appointment."""
    return _by_appointment(await db.reads.fetch(OVERRIDES, [row["id"] for row in rows]) if rows else ())


async def overrides_in(session: AsyncSession, appointment_id: UUID) -> Sequence[asyncpg.Record]:
    """`overrides` of one, inside the transaction that has just written them."""
    found: list[asyncpg.Record] = await (await raw_connection(session)).fetch(OVERRIDES, [appointment_id])
    return found


def _by_appointment(found: Sequence[asyncpg.Record]) -> Overrides:
    grouped: defaultdict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in found:
        grouped[row["appointment_id"]].append(row)
    return grouped
