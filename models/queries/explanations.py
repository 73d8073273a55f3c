"""Everything on record about one occurrence, for whoever belongs to its household: what `explain` is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from core.db import Database
from domain.access import Role
from models.queries.absences import away_until, sat_at
from models.queries.access import reached

_MOMENT: Final = "CASE o.state WHEN 'due' THEN o.notice_at ELSE o.instant END"
"""When somebody is, or was, to be asked."""
_OCCURRENCE = f"""
SELECT o.*, o.id AS occurrence_id, o.state AS occurrence_state, o.schedule_version AS of_version, r.schedule, r.class,
       r.category, r.notification_methods, r.lead_minutes, r.steps, r.early_window_minutes, r.min_gap_minutes,
       r.state AS reminder_state, r.household_id, u.timezone, a.role, a.actions,
       {away_until(_MOMENT, unless=sat_at(_MOMENT))} AS away_until,
       ARRAY(SELECT m.user_id FROM memberships m
              WHERE m.household_id = r.household_id AND m.left_at IS NULL) AS members
  FROM occurrences o
  JOIN reminders r ON r.id = o.reminder_id
  {reached("r.household_id", "r.pet_id")}
  JOIN users u ON u.id = a.user_id
 WHERE o.id = $2 AND r.deleted_at IS NULL"""  # noqa: S608 - our own words
# A grant keeps its pets and its beginning, and its end never moves into the past: whether somebody was told as a sitter
# follows from the row for good. A sitter is shown what was sent to themselves.
_DELIVERIES = """
SELECT d.id, d.user_id, d.channel, d.step, d.state, d.reason, d.provider_id, d.attempt, d.not_before, d.folded_into,
       d.retracted_at, d.created_at, d.at,
       (SELECT g.id FROM grants g
         WHERE g.kind = 'sitter' AND g.user_id = d.user_id AND g.household_id = r.household_id
           AND r.pet_id = ANY(g.pet_ids) AND g.valid_from <= d.created_at
           AND d.created_at < least(g.valid_until, g.revoked_at) LIMIT 1) AS grant_id
  FROM deliveries d JOIN occurrences o ON o.id = d.occurrence_id JOIN reminders r ON r.id = o.reminder_id
 WHERE d.occurrence_id = $1 AND ($2::uuid IS NULL OR d.user_id = $2) ORDER BY d.id"""
_EVENTS = """
SELECT e.delivery_id, e.created_at AS at, e.kind, e.device_id, e.provider_id, e.code
  FROM delivery_events e WHERE e.delivery_id = ANY($1::uuid[]) ORDER BY e.id"""
_MOVES = """
SELECT tzdata_version, from_version, tzid, was, now FROM zone_data_moves WHERE occurrence_id = $1 ORDER BY id"""
_DOSES = """
SELECT state, given_at, recorded_at, by_user_id, override_reason_ct FROM doses WHERE occurrence_id = $1 ORDER BY id"""


@dataclass(frozen=True, slots=True)
class Record:
    """The occurrence with its reminder, and what happened to it, oldest first."""

    occurrence: asyncpg.Record
    deliveries: Sequence[asyncpg.Record]
    events: Sequence[asyncpg.Record]
    moves: Sequence[asyncpg.Record]
    doses: Sequence[asyncpg.Record]


async def record(db: Database, user_id: UUID, occurrence_id: UUID) -> Record | None:
    """All of it as of one moment each. None: no household of theirs has it."""
    found = await db.reads.fetchrow(_OCCURRENCE, user_id, occurrence_id)
    if found is None:
        return None
    alone = user_id if found["role"] == Role.SITTER else None
    deliveries = await db.reads.fetch(_DELIVERIES, occurrence_id, alone)
    return Record(
        occurrence=found,
        deliveries=deliveries,
        events=await db.reads.fetch(_EVENTS, [row["id"] for row in deliveries]),
        moves=await db.reads.fetch(_MOVES, occurrence_id),
        doses=await db.reads.fetch(_DOSES, occurrence_id),
    )
