"""Connected accounts, each with the one calendar that is kept in it, as their person sees and changes them.

Whoever changes one locks the connection first and its link second. What ended is not shown; its rows stay for whoever
connects the same account again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database, raw_connection
from models.calendar_sync import CalendarConnection, CalendarLink, ConnectionState
from models.queries.access import found_in
from models.queries.clock import database_now

IN_STEP: Final = (ConnectionState.CONNECTING, ConnectionState.ACTIVE)
_LASTS: Final = col(CalendarConnection.state) != ConnectionState.DISCONNECTED
_SHOWN: Final = """
SELECT c.id, c.household_id, c.provider, c.state, c.account_ct, c.policy, c.created_at, c.updated_at, c.version,
       l.id AS link_id, l.remote_calendar_id IS NOT NULL AS has_calendar, l.health, l.last_ok_at, l.last_full_at,
       l.next_poll_at, l.push_channels, l.last_error, l.failures, l.deletes_confirmed,
       (SELECT count(*) FROM event_links e WHERE e.calendar_link_id = l.id AND e.state = 'live') AS events,
       (SELECT count(*) FROM event_links e
         WHERE e.calendar_link_id = l.id AND e.state = 'quarantined') AS quarantined,
       (SELECT count(*) FROM calendar_conflicts f
         WHERE f.calendar_link_id = l.id AND f.restored_at IS NULL) AS conflicts,
       statement_timestamp() AS now
  FROM calendar_connections c JOIN calendar_links l ON l.connection_id = c.id
 WHERE c.user_id = $1 AND c.state <> 'disconnected'"""
OF_USER: Final = _SHOWN + " ORDER BY c.id"
_ONE: Final = _SHOWN + " AND c.id = $2"
MOST_SHOWN: Final = 100
# The title is the household's: whoever cannot reach the event any more is not told.
QUARANTINED: Final = f"""
SELECT e.id, e.appointment_id, e.reminder_id, e.error, t.title_ct AS appointment_ct, r.title_ct AS reminder_ct
  FROM event_links e
  LEFT JOIN appointments t ON t.id = e.appointment_id AND EXISTS (
       SELECT FROM pet_access a WHERE a.user_id = $1 AND a.household_id = t.household_id AND a.role <> 'admin'
          AND (a.pet_id IS NULL OR a.pet_id = t.pet_id))
  LEFT JOIN reminders r ON r.id = e.reminder_id AND EXISTS (
       SELECT FROM pet_access a WHERE a.user_id = $1 AND a.household_id = r.household_id AND a.role <> 'admin'
          AND (a.pet_id IS NULL OR a.pet_id = r.pet_id))
 WHERE e.calendar_link_id = $2 AND e.state = 'quarantined' ORDER BY e.id LIMIT {MOST_SHOWN}"""  # noqa: S608
# What was deleted in the calendar by hand stays hidden there. Ids of the lost calendar may come again in the next.
_FORGET_EVENTS: Final = text(
    """UPDATE event_links SET state = 'dead', remote_id = NULL, remote_etag = NULL, intent_ct = NULL, retry_at = NULL
        WHERE calendar_link_id = :id AND state NOT IN ('dead', 'hidden')"""
)
_FORGET_LIST: Final = text("DELETE FROM calendar_inbox_items WHERE calendar_link_id = :id")
_HOME: Final = text(
    """SELECT m.household_id FROM memberships m
        WHERE m.user_id = :user_id AND m.left_at IS NULL AND m.role = 'owner' ORDER BY m.id LIMIT 1"""
)
_MEMBER: Final = text(
    """SELECT EXISTS (SELECT FROM memberships m
        WHERE m.user_id = :user_id AND m.household_id = :household_id AND m.left_at IS NULL)"""
)
# Another calendar's copy of a line, and whether it is up to date there; of several the one that needs most.
PLACES: Final = """
SELECT DISTINCT ON (e.local_id, c.id) e.local_id, c.id AS connection_id, c.provider, s.state
  FROM calendar_links l
  JOIN calendar_connections c ON c.id = l.connection_id AND c.state <> 'disconnected'
  JOIN event_links e ON e.calendar_link_id = l.id AND e.state NOT IN ('dead', 'hidden')
  LEFT JOIN appointments t ON t.id = e.appointment_id
  LEFT JOIN reminders r ON r.id = e.reminder_id
 CROSS JOIN LATERAL (
       SELECT CASE WHEN e.state = 'quarantined' THEN 'quarantined'
                   WHEN e.remote_id IS NULL OR e.intent_ct IS NOT NULL
                     OR e.local_version_at_base <> coalesce(t.version, r.version) THEN 'pending'
                   ELSE 'synced' END AS state) s
 WHERE l.user_id = $1 AND (e.appointment_id = ANY($2::uuid[]) OR e.reminder_id = ANY($3::uuid[]))
 ORDER BY e.local_id, c.id, array_position(ARRAY['quarantined', 'pending', 'synced'], s.state)"""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection and its calendar, both locked."""

    connection: CalendarConnection
    link: CalendarLink


async def of_user(db: Database, user_id: UUID) -> Sequence[asyncpg.Record]:
    """All that a person has connected, oldest first, with how each stands."""
    return await db.reads.fetch(OF_USER, user_id)


async def find(db: Database, user_id: UUID, connection_id: UUID) -> asyncpg.Record | None:
    """One of them."""
    return await db.reads.fetchrow(_ONE, user_id, connection_id)


async def find_in(session: AsyncSession, user_id: UUID, connection_id: UUID) -> asyncpg.Record:
    """`find` inside the transaction that has just written it."""
    await session.flush()
    return found_in(await (await raw_connection(session)).fetchrow(_ONE, user_id, connection_id))


async def quarantined(db: Database, user_id: UUID, link_id: UUID) -> Sequence[asyncpg.Record]:
    """What its calendar does not take, at most a hundred."""
    return await db.reads.fetch(QUARANTINED, user_id, link_id)


async def places(
    db: Database, user_id: UUID, appointment_ids: Iterable[UUID], reminder_ids: Iterable[UUID]
) -> Sequence[asyncpg.Record]:
    """In which of the person's calendars these are, and how they stand there."""
    return await db.reads.fetch(PLACES, user_id, list(appointment_ids), list(reminder_ids))


async def lock(session: AsyncSession, user_id: UUID, connection_id: UUID) -> Connected | None:
    """One of this person's that has not ended."""
    return _only(await _lock(session, user_id, _LASTS, col(CalendarConnection.id) == connection_id))


async def lock_account(session: AsyncSession, user_id: UUID, provider: str, account_bidx: bytes) -> Connected | None:
    """That of this account, ended or not."""
    of_account = col(CalendarConnection.account_bidx) == account_bidx
    return _only(await _lock(session, user_id, col(CalendarConnection.provider) == provider, of_account))


async def lock_active(session: AsyncSession, user_id: UUID, connection_id: UUID | None) -> Sequence[Connected]:
    """Those that are kept in step: all, or this one."""
    this = () if connection_id is None else (col(CalendarConnection.id) == connection_id,)
    return await _lock(session, user_id, col(CalendarConnection.state).in_(IN_STEP), *this)


async def lock_lasting(session: AsyncSession, user_id: UUID) -> Sequence[Connected]:
    """All that have not ended."""
    return await _lock(session, user_id, _LASTS)


async def count(session: AsyncSession, user_id: UUID) -> int:
    """How many have not ended. The account is locked."""
    query = select(func.count()).where(col(CalendarConnection.user_id) == user_id, _LASTS)
    return (await session.execute(query)).scalar_one()


async def add(session: AsyncSession, connection: CalendarConnection) -> Connected:
    """A new one, with a calendar that is still to be made."""
    link = CalendarLink(connection_id=connection.id, user_id=connection.user_id)
    session.add(connection)
    await session.flush()
    session.add(link)
    await session.flush()
    return Connected(connection, link)


async def touch(session: AsyncSession, connected: Connected) -> None:
    """Write what was changed, the connection as a new version."""
    now = await database_now(session)
    connected.connection.version += 1
    connected.connection.updated_at = connected.link.updated_at = now
    connected.link.version += 1
    await session.flush()


async def forget_calendar(session: AsyncSession, link: CalendarLink) -> None:
    """The calendar is gone: the next one begins without anything of it. The link is locked."""
    link.remote_calendar_id = link.cursor = link.page_state = link.full_listed = None
    link.full_sync_in_progress = link.deletes_confirmed = False
    link.push_channels = []
    await session.execute(_FORGET_EVENTS, {"id": link.id})
    await session.execute(_FORGET_LIST, {"id": link.id})


async def home(session: AsyncSession, user_id: UUID) -> UUID | None:
    """The first household that a person owns."""
    found: UUID | None = (await session.execute(_HOME, {"user_id": user_id})).scalar_one_or_none()
    return found


async def is_member(session: AsyncSession, user_id: UUID, household_id: UUID) -> bool:
    """Whether a person belongs to a household."""
    asked = {"user_id": user_id, "household_id": household_id}
    return bool((await session.execute(_MEMBER, asked)).scalar_one())


async def _lock(session: AsyncSession, user_id: UUID, *wanted: ColumnElement[bool]) -> Sequence[Connected]:
    query = (
        select(CalendarConnection, CalendarLink)
        .join(CalendarLink, col(CalendarLink.connection_id) == col(CalendarConnection.id))
        .where(col(CalendarConnection.user_id) == user_id, *wanted)
        .order_by(col(CalendarConnection.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return [Connected(*row) for row in (await session.execute(query)).all()]


def _only(found: Sequence[Connected]) -> Connected | None:
    return found[0] if found else None
