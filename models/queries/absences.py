"""Absences: declared and ended under the lock of their household's row, and how other queries ask about them.

The query is the wall: what is due asks, by the clock it is decided on, whether somebody is there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database, raw_connection
from domain import absence as rules
from domain.absence import AWAY
from models.absence import Absence

_ABSENCE: Final = "SELECT x.*, statement_timestamp() AS now FROM absences x WHERE "
_ONE = _ABSENCE + "x.id = $1"
_OF_HOUSEHOLD = _ABSENCE + "x.household_id = $1 AND x.id = $2"
PAGE: Final = _ABSENCE + "x.household_id = $1 AND ($2::uuid IS NULL OR x.id < $2) ORDER BY x.id DESC LIMIT $3"
_END: Final = "least(x.ends_at, x.ended_at)"
_COVERS: Final = """x.household_id = r.household_id AND (x.pet_ids IS NULL OR r.pet_id = ANY(x.pet_ids))
    AND r.category = ANY(x.categories)"""
"""SQL: whether an absence `x` is about a reminder `r`."""
SPANS: Final = f"""(SELECT jsonb_agg(jsonb_build_object('starts_at', x.starts_at, 'ends_at', {_END}))
    FROM absences x
   WHERE {_COVERS}
     AND {_END} > least(clock_timestamp(), (SELECT min(c.instant) FROM occurrences c
                                             WHERE c.reminder_id = r.id AND c.state IN ('scheduled', 'due'))))"""  # noqa: S608
"""SQL: the absences that can matter to what is open of a reminder `r`, for `spans_of`."""
SAT_NOW: Final = """EXISTS (SELECT FROM pet_access s JOIN users n ON n.id = s.user_id AND n.state = 'active'
    WHERE s.household_id = r.household_id AND s.pet_id = r.pet_id AND s.role = 'sitter' AND 'act' = ANY(s.actions))"""
"""SQL: whether a sitter is asked about a reminder `r`, as the statement that loads it decides."""
_COVERED = text(
    f"""SELECT r.id FROM reminders r JOIN absences x ON x.id = :id AND {_COVERS}
         WHERE r.state = 'active' AND r.deleted_at IS NULL ORDER BY r.id FOR NO KEY UPDATE OF r"""  # noqa: S608
)
_RELEASE = text(
    f"""UPDATE deliveries SET not_before = clock_timestamp()
        WHERE reminder_id = ANY(CAST(:reminder_ids AS uuid[])) AND state = 'deferred' AND reason = '{AWAY}'"""  # noqa: S608
)


def sat_at(moment: str) -> str:
    """SQL: whether a sitter is asked about a reminder `r` at `moment`, as far as is known now."""
    return f"""EXISTS (SELECT FROM grants s
        WHERE s.kind = 'sitter' AND s.user_id IS NOT NULL AND s.household_id = r.household_id
          AND r.pet_id = ANY(s.pet_ids) AND 'act' = ANY(s.actions)
          AND s.valid_from <= {moment} AND {moment} < least(s.valid_until, s.revoked_at))"""


def away_until(moment: str, *, unless: str) -> str:
    """SQL: when the absence ends in which a reminder `r` is at `moment`; NULL: somebody is there."""
    return f"""(SELECT max({_END}) FROM absences x
        WHERE {_COVERS} AND x.starts_at <= {moment} AND {moment} < {_END} AND NOT {unless})"""  # noqa: S608


_QUIET = f"""
SELECT t.moment, r.id FROM unnest($1::timestamptz[], $2::uuid[]) AS t (moment, id) JOIN reminders r ON r.id = t.id
 WHERE {away_until("t.moment", unless=sat_at("t.moment"))} IS NOT NULL"""  # noqa: S608 - our own words


def span_of(row: Absence | asyncpg.Record) -> rules.Absence:
    """The domain's view of a row."""
    value = row.__getitem__ if isinstance(row, asyncpg.Record) else row.__getattribute__
    return rules.Absence(value("starts_at"), min(value("ends_at"), value("ended_at") or value("ends_at")))


def spans_of(document: Sequence[Mapping[str, str]] | None) -> tuple[rules.Absence, ...]:
    """What `SPANS` selected, for the domain."""
    return tuple(
        rules.Absence(datetime.fromisoformat(span["starts_at"]), datetime.fromisoformat(span["ends_at"]))
        for span in document or ()
    )


async def page(db: Database, household_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """Of a household, the newest first, before an id."""
    return await db.reads.fetch(PAGE, household_id, before, limit)


async def find(db: Database, household_id: UUID, absence_id: UUID) -> asyncpg.Record | None:
    """One of this household."""
    return await db.reads.fetchrow(_OF_HOUSEHOLD, household_id, absence_id)


async def find_in(session: AsyncSession, absence_id: UUID) -> asyncpg.Record:
    """One that was written or changed in this transaction."""
    await session.flush()
    return await (await raw_connection(session)).fetchrow(_ONE, absence_id)


async def quiet(db: Database, moments: Sequence[tuple[datetime, UUID]]) -> set[tuple[datetime, UUID]]:
    """Those of the moments, each of a reminder, at which nobody is there to be asked."""
    rows = await db.reads.fetch(_QUIET, [at for at, _ in moments], [reminder_id for _, reminder_id in moments])
    return {(row["moment"], row["id"]) for row in rows}


async def open_ones(session: AsyncSession, household_id: UUID) -> int:
    """How many of a household are not over. Its row is locked."""
    query = select(func.count()).where(
        col(Absence.household_id) == household_id,
        col(Absence.ended_at).is_(None),
        col(Absence.ends_at) > func.clock_timestamp(),
    )
    return (await session.execute(query)).scalar_one()


async def lock(session: AsyncSession, household_id: UUID, absence_id: UUID) -> Absence | None:
    """One of this household, locked; None for what it does not have."""
    query = select(Absence).where(col(Absence.id) == absence_id, col(Absence.household_id) == household_id)
    return (await session.scalars(query.with_for_update())).one_or_none()


async def touch(session: AsyncSession, absence: Absence, now: datetime) -> None:
    """Write what was changed, as a new version."""
    absence.version += 1
    absence.updated_at = now
    await session.flush()


async def wake(session: AsyncSession, absence_id: UUID) -> list[UUID]:
    """The reminders that it keeps quiet, locked: what waits for its end may leave."""
    found = list((await session.scalars(_COVERED, {"id": absence_id})).all())
    await session.execute(_RELEASE, {"reminder_ids": found})
    return found
