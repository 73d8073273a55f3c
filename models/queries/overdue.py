"""What is late by now, for the operators' alarm: found through two partial indexes, whatever the tables hold."""

from dataclasses import dataclass
from typing import Final

from core.db import Database

# What is paused stands still on purpose. `scheduled` in the past: no delivery has looked at it since.
OLDEST: Final = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - (
           SELECT o.instant FROM occurrences o
             JOIN reminders r ON r.id = o.reminder_id AND r.state = 'active' AND r.deleted_at IS NULL
            WHERE o.state = 'scheduled' AND o.instant < clock_timestamp() ORDER BY o.instant LIMIT 1)), 0) AS unclaimed,
       coalesce(extract(epoch FROM clock_timestamp() - (
           SELECT min(greatest(d.created_at, d.not_before)) FROM deliveries d
            WHERE d.state IN ('planned', 'deferred')
              AND (d.not_before IS NULL OR d.not_before < clock_timestamp()))), 0) AS undelivered"""


@dataclass(frozen=True, slots=True)
class Oldest:
    """Seconds: since the earliest unclaimed occurrence fell due, and since the oldest message may leave; 0 for none."""

    unclaimed: float
    undelivered: float


async def oldest(db: Database) -> Oldest:
    """Both, as of now."""
    row = await db.reads.fetchrow(OLDEST)
    return Oldest(0.0, 0.0) if row is None else Oldest(float(row["unclaimed"]), float(row["undelivered"]))
