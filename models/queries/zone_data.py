"""The roll-over to new zone data: what is still computed with the old one, and the record of what moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id

# Elapsed time knows no zone: such occurrences have none and never move.
_STALE = text(
    """SELECT o.id, o.reminder_id FROM occurrences o
        WHERE o.state = 'scheduled' AND o.tzdata_version <> :version AND o.tzid IS NOT NULL
          AND (CAST(:after AS uuid) IS NULL OR o.id > :after)
        ORDER BY o.id LIMIT :limit"""
)
_BEGIN = text("INSERT INTO zone_data_runs (tzdata_version) VALUES (:version) ON CONFLICT DO NOTHING")
_MOVED = text(
    """INSERT INTO zone_data_moves (id, tzdata_version, occurrence_id, tzid, from_version, was, now)
       VALUES (:id, :version, :occurrence_id, :tzid, :from_version, :was, :now)
       ON CONFLICT (tzdata_version, occurrence_id) DO NOTHING"""
)
_FINISH = text(
    """UPDATE zone_data_runs r
          SET finished_at = coalesce(finished_at, clock_timestamp()), checked = greatest(checked, :checked),
              moved = (SELECT count(*) FROM zone_data_moves m WHERE m.tzdata_version = r.tzdata_version)
        WHERE r.tzdata_version = :version RETURNING r.moved"""
)
_REPORT = text(
    """SELECT occurrence_id, tzid, from_version, was, now FROM zone_data_moves
        WHERE tzdata_version = :version ORDER BY id LIMIT :limit"""
)
REPORTED: Final = 100


@dataclass(frozen=True, slots=True)
class Stale:
    """A pending occurrence that older zone data placed."""

    id: UUID
    reminder_id: UUID


@dataclass(frozen=True, slots=True)
class Move:
    """What a roll-over changed about one occurrence."""

    occurrence_id: UUID
    tzid: str
    from_version: str
    was: datetime
    now: datetime


async def begin(session: AsyncSession, version: str) -> None:
    """The run's row; beginning again is harmless."""
    await session.execute(_BEGIN, {"version": version})


async def stale(session: AsyncSession, version: str, after: UUID | None, limit: int) -> list[Stale]:
    """What other versions placed, by id."""
    found = await session.execute(_STALE, {"version": version, "after": after, "limit": limit})
    return [Stale(row.id, row.reminder_id) for row in found]


async def keep(session: AsyncSession, version: str, move: Move) -> None:
    """Put a move on record, in the transaction that makes it."""
    values = {name: getattr(move, name) for name in Move.__slots__}
    await session.execute(_MOVED, values | {"id": new_id(), "version": version})


async def finish(session: AsyncSession, version: str, checked: int) -> int:
    """Close the run; answers how many occurrences it moved."""
    return int((await session.execute(_FINISH, {"version": version, "checked": checked})).scalar_one())


async def report(session: AsyncSession, version: str, limit: int = REPORTED) -> Sequence[Move]:
    """The first moves of a run."""
    found = await session.execute(_REPORT, {"version": version, "limit": limit})
    return [Move(row.occurrence_id, row.tzid, row.from_version, row.was, row.now) for row in found]
