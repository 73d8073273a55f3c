"""What happened to the animals of a sitter's grant between two moments: what its owners are told in the evening."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from domain.absence import AWAY
from domain.grant import Span
from models.household import Grant

MOST: Final = 200
"""Of each kind; a mail shows fewer."""
# Closed in between, or due in between and still open at its end; nobody was asked for what an absence passed over.
_OCCURRENCES = text(
    f"""SELECT o.id, o.state, o.instant, o.tzid, coalesce(o.completed_at, o.closed_at) AS at, r.id AS reminder_id,
              r.title_ct, p.id AS pet_id, p.name_ct AS pet_name_ct, u.id AS by_id, u.first_name_ct AS by_name_ct
         FROM reminders r
         JOIN occurrences o ON o.reminder_id = r.id
         JOIN pets p ON p.id = r.pet_id AND p.deleted_at IS NULL
         LEFT JOIN users u ON u.id = o.closed_by
        WHERE r.household_id = :household_id AND r.pet_id = ANY(CAST(:pet_ids AS uuid[])) AND r.deleted_at IS NULL
          AND (o.state IN ('done', 'skipped', 'missed') AND o.closed_at >= :start AND o.closed_at < :end
               AND o.reason IS DISTINCT FROM '{AWAY}'
               OR o.state = 'due' AND o.instant < :end)
        ORDER BY coalesce(o.completed_at, o.closed_at, o.instant), o.id LIMIT :limit"""  # noqa: S608 - our own words
)
_RECORDS = text(
    """SELECT h.id, h.title_ct, h.created_at AS at, p.id AS pet_id, p.name_ct AS pet_name_ct, u.id AS by_id,
              u.first_name_ct AS by_name_ct
         FROM health_records h
         JOIN pets p ON p.id = h.pet_id AND p.deleted_at IS NULL
         LEFT JOIN users u ON u.id = h.by_user_id
        WHERE h.pet_id = ANY(CAST(:pet_ids AS uuid[])) AND h.household_id = :household_id AND h.deleted_at IS NULL
          AND h.created_at >= :start AND h.created_at < :end
        ORDER BY h.id LIMIT :limit"""
)


@dataclass(frozen=True, slots=True)
class Happened:
    """Sealed. `occurrences` were done, skipped, missed, or are still due; `records` were added."""

    occurrences: Sequence[RowMapping]
    records: Sequence[RowMapping]


async def happened(session: AsyncSession, grant: Grant, span: Span) -> Happened:
    """Everything of that time, whoever did it, in order."""
    values = {
        "household_id": grant.household_id,
        "pet_ids": grant.pet_ids,
        "start": span.start,
        "end": span.end,
        "limit": MOST,
    }
    return Happened(
        occurrences=(await session.execute(_OCCURRENCES, values)).mappings().all(),
        records=(await session.execute(_RECORDS, values)).mappings().all(),
    )
