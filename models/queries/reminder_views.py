"""Reminders and occurrences as their household reads them. Access is part of each query: a foreign id finds nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database, raw_connection
from domain.access import Access
from domain.schedule_json import Zones
from models.queries import pets
from models.queries.access import OWN, found_in, reached
from models.queries.limits import beyond

_MINE = reached("r.household_id", "r.pet_id")
_REMINDER = f"""
SELECT r.id, r.version, r.household_id, r.user_id, r.pet_id, r.title_ct, r.description_ct, r.class, r.category,
       r.schedule, r.notification_methods,
       r.lead_minutes, r.steps, r.early_window_minutes, r.min_gap_minutes, r.state, r.ended_reason, r.next_at,
       r.created_at, r.updated_at, a.role, a.actions
  FROM reminders r {_MINE}
 WHERE r.deleted_at IS NULL AND """  # noqa: S608 - our own words
_ONE = _REMINDER + "r.id = $2"
_PAGE = (
    _REMINDER
    + OWN
    + """ AND ($2::uuid IS NULL OR r.id > $2) AND ($4::uuid IS NULL OR r.pet_id = $4)
   AND ($5::text IS NULL OR r.state = $5)
 ORDER BY r.id LIMIT $3"""
)
_OCCURRENCE = f"""
SELECT o.id, o.version, o.reminder_id, o.schedule_version, o.key, o.nominal, o.instant, o.tzid, o.tzdata_version,
       o.state, o.late, o.notice_at, o.notified_at, o.lead_at, o.snooze_count, o.closed_at, o.closed_by, o.completed_at,
       o.acknowledged_at, o.acknowledged_by, o.reason, o.created_at, o.updated_at, r.title_ct, r.pet_id, r.household_id,
       a.role, a.actions
  FROM occurrences o JOIN reminders r ON r.id = o.reminder_id {_MINE}
 WHERE r.deleted_at IS NULL AND """  # noqa: S608 - our own words
_ONE_OCCURRENCE = _OCCURRENCE + "o.id = $2"
_OCCURRENCE_PAGE = (
    _OCCURRENCE
    + """o.reminder_id = $2 AND ($4::timestamptz IS NULL OR (o.instant, o.id) < ($4, $5::uuid))
 ORDER BY o.instant DESC, o.id DESC LIMIT $3"""
)
_COMING = f"""
SELECT r.id, r.pet_id, r.title_ct, r.class, r.category, r.schedule, r.next_at, p.name_ct AS pet_name_ct
  FROM reminders r {_MINE} LEFT JOIN pets p ON p.id = r.pet_id
 WHERE {OWN} AND r.deleted_at IS NULL AND r.state = 'active' AND ($2::uuid IS NULL OR r.pet_id = $2)
 ORDER BY r.id"""  # noqa: S608 - our own words
# What is to come of a paused series is not listed: nothing will be said.
TIMELINE = f"""
SELECT o.id, o.version, o.reminder_id, o.schedule_version, o.key, o.nominal, o.instant, o.tzid, o.tzdata_version,
       o.state, o.late, o.notice_at, o.notified_at, o.lead_at, o.snooze_count, o.closed_at, o.closed_by, o.completed_at,
       o.acknowledged_at, o.acknowledged_by, o.reason, o.created_at, o.updated_at, r.title_ct, r.pet_id, r.class,
       r.category, r.schedule, p.name_ct AS pet_name_ct
  FROM occurrences o JOIN reminders r ON r.id = o.reminder_id {_MINE} LEFT JOIN pets p ON p.id = r.pet_id
 WHERE {OWN} AND r.deleted_at IS NULL AND o.instant >= $2 AND o.instant < $3 AND o.state = ANY($4::text[])
   AND (o.state <> 'scheduled' OR r.state = 'active') AND ($5::uuid IS NULL OR r.pet_id = $5)
   AND ($7::timestamptz IS NULL OR (o.instant, o.reminder_id, o.key) > ($7, $8::uuid, $9::text))
 ORDER BY o.instant, o.reminder_id, o.key LIMIT $6"""  # noqa: S608 - our own words
_WITH_ROW = f"""
SELECT o.reminder_id, o.key FROM occurrences o JOIN reminders r ON r.id = o.reminder_id {_MINE}
 WHERE {OWN} AND r.deleted_at IS NULL AND o.instant >= $2 AND o.schedule_version = r.schedule_version"""  # noqa: S608
_PERSON = text("SELECT timezone, first_name_ct FROM users WHERE id = :id")
_PLACE = text(
    f"""SELECT h.id AS household_id, h.home_tzid, u.timezone, p.home_tzid AS pet_tzid, p.status AS pet_status,
              a.role, a.actions, {beyond("p")} AS read_only
         FROM users u
         JOIN pet_access a ON a.user_id = u.id AND (a.pet_id IS NULL OR a.pet_id = :pet_id)
         JOIN households h ON h.id = a.household_id
         LEFT JOIN pets p ON p.household_id = h.id AND p.id = :pet_id AND p.deleted_at IS NULL
        WHERE u.id = :user_id AND (p.id IS NOT NULL OR CAST(:pet_id AS uuid) IS NULL AND h.id = (
              SELECT m.household_id FROM memberships m
               WHERE m.user_id = u.id AND m.left_at IS NULL AND m.role = 'owner' ORDER BY m.id LIMIT 1))
        LIMIT 1"""  # noqa: S608 - our own words
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reminder lives: its household, the zones its schedule may follow, the state of its pet, and what the
    person who asks may do there."""

    household_id: UUID
    zones: Zones
    pet_status: str | None
    access: Access


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts on an occurrence: their clock, and the name others see (sealed)."""

    timezone: str
    first_name_ct: str | None


async def actor(session: AsyncSession, user_id: UUID) -> Actor | None:
    """The person with this id."""
    row = (await session.execute(_PERSON, {"id": user_id})).one_or_none()
    return Actor(*row) if row else None


async def place(session: AsyncSession, user_id: UUID, pet_id: UUID | None) -> Place | None:
    """The place of a reminder for this pet, which does not move until the end of the transaction; without one, the
    caller's own household. None: no such pet of theirs."""
    if pet_id is not None:
        await pets.hold(session, pet_id)
    row = (await session.execute(_PLACE, {"user_id": user_id, "pet_id": pet_id})).mappings().one_or_none()
    if row is None:
        return None
    zones = Zones(home=row["pet_tzid"] or row["home_tzid"], user=row["timezone"])
    access = Access.of(row["role"], row["actions"], read_only=bool(row["read_only"]))
    return Place(row["household_id"], zones, row["pet_status"], access)


async def find(db: Database, user_id: UUID, reminder_id: UUID) -> asyncpg.Record | None:
    """One reminder."""
    return await db.reads.fetchrow(_ONE, user_id, reminder_id)


async def find_in(session: AsyncSession, user_id: UUID, reminder_id: UUID) -> asyncpg.Record:
    """`find` inside the transaction that has just written it. Raises as `found_in`."""
    return found_in(await (await raw_connection(session)).fetchrow(_ONE, user_id, reminder_id))


async def page(
    db: Database, user_id: UUID, after: UUID | None, limit: int, pet_id: UUID | None, state: str | None
) -> Sequence[asyncpg.Record]:
    """Reminders of all the user's households, oldest first."""
    return await db.reads.fetch(_PAGE, user_id, after, limit, pet_id, state)


async def occurrence(db: Database, user_id: UUID, occurrence_id: UUID) -> asyncpg.Record | None:
    """One occurrence."""
    return await db.reads.fetchrow(_ONE_OCCURRENCE, user_id, occurrence_id)


async def occurrence_in(session: AsyncSession, user_id: UUID, occurrence_id: UUID) -> asyncpg.Record:
    """`occurrence` inside the transaction that has just written it. Raises as `found_in`."""
    return found_in(await (await raw_connection(session)).fetchrow(_ONE_OCCURRENCE, user_id, occurrence_id))


async def occurrences(
    db: Database, user_id: UUID, reminder_id: UUID, limit: int, after: tuple[datetime, UUID] | None
) -> Sequence[asyncpg.Record]:
    """The diary of a reminder, newest first."""
    return await db.reads.fetch(_OCCURRENCE_PAGE, user_id, reminder_id, limit, *(after or (None, None)))


async def active(db: Database, user_id: UUID, pet_id: UUID | None = None) -> Sequence[asyncpg.Record]:
    """Every reminder of the user's households that still plans something; of one pet, if it is named."""
    return await db.reads.fetch(_COMING, user_id, pet_id)


async def timeline(
    db: Database,
    user_id: UUID,
    span: tuple[datetime, datetime],
    states: Sequence[str],
    limit: int,
    *,
    pet_id: UUID | None = None,
    after: tuple[datetime, UUID, str] | None = None,
) -> Sequence[asyncpg.Record]:
    """Occurrences of all the user's households that have rows, start inclusive, end exclusive, in order of instant,
    reminder and key; `after` is the last of the page before."""
    return await db.reads.fetch(TIMELINE, user_id, *span, states, pet_id, limit, *(after or (None, None, None)))


async def clock(db: Database, user_id: UUID) -> str:
    """The zone of this person."""
    return str(await db.reads.fetchval("SELECT timezone FROM users WHERE id = $1", user_id))


async def with_row(db: Database, user_id: UUID, start: datetime) -> set[tuple[UUID, str]]:
    """(reminder, key) of nominals from `start` on that have rows: the pending ones, and what was closed ahead."""
    return {(row["reminder_id"], row["key"]) for row in await db.reads.fetch(_WITH_ROW, user_id, start)}
