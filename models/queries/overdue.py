"""What is late by now, for the operators' alarm: found through two partial indexes, whatever the tables hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.db import Database
from domain.absence import AWAY
from domain.reminder_delivery import QUIET_HOURS
from models.queries.reminder_notices import GATHERING

# What is paused stands still on purpose. `scheduled` in the past: no delivery has looked at it since.
# What is held back on purpose counts from the time until which it is; what a provider has not taken counts from the
# first time it could have, because every attempt moves the next one, and leaves `at` alone.
OLDEST: Final = f"""
SELECT coalesce(extract(epoch FROM clock_timestamp() - (
           SELECT o.instant FROM occurrences o
             JOIN reminders r ON r.id = o.reminder_id AND r.state = 'active' AND r.deleted_at IS NULL
            WHERE o.state = 'scheduled' AND o.instant < clock_timestamp() ORDER BY o.instant LIMIT 1)), 0) AS unclaimed,
       coalesce(extract(epoch FROM clock_timestamp() - (
           SELECT min(since) FROM (
               SELECT CASE WHEN d.state = 'planned' THEN d.at
                           WHEN d.reason IN ('{QUIET_HOURS}', '{AWAY}', '{GATHERING}') THEN d.not_before
                           ELSE coalesce((SELECT min(e.created_at) FROM delivery_events e WHERE e.delivery_id = d.id),
                                         d.not_before) END AS since
                 FROM deliveries d WHERE d.state IN ('planned', 'deferred')) AS waiting
            WHERE since < clock_timestamp())), 0) AS undelivered,
       coalesce(extract(epoch FROM clock_timestamp() - (
           SELECT min(since) FROM (
               SELECT updated_at AS since FROM media_assets WHERE state = 'scanning'
               UNION ALL SELECT doomed_at FROM media_assets WHERE doomed_at IS NOT NULL) AS media)), 0) AS media"""  # noqa: S608 - our own words


_MEDIA: Final = """
SELECT count(*) FILTER (WHERE state = 'pending' AND doomed_at IS NULL) AS pending,
       count(*) FILTER (WHERE state = 'scanning' AND doomed_at IS NULL) AS scanning,
       count(*) FILTER (WHERE doomed_at IS NOT NULL) AS doomed
  FROM (SELECT state, doomed_at FROM media_assets WHERE state IN ('pending', 'scanning')
        UNION ALL
        SELECT state, doomed_at FROM media_assets
         WHERE doomed_at IS NOT NULL AND state NOT IN ('pending', 'scanning')) AS waiting"""


@dataclass(frozen=True, slots=True)
class Oldest:
    """Seconds since the earliest unclaimed occurrence fell due, since the oldest message could have left, and since the
    upload came, or the deletion, that has waited for the media worker the longest; or 0."""

    unclaimed: float
    undelivered: float
    media: float


async def oldest(db: Database) -> Oldest:
    """All of them, as of now."""
    row = await db.reads.fetchrow(OLDEST)
    if row is None:
        return Oldest(0.0, 0.0, 0.0)
    return Oldest(float(row["unclaimed"]), float(row["undelivered"]), float(row["media"]))


async def media_queue(db: Database) -> Mapping[str, int]:
    """How many contents are being uploaded (`pending`), looked at or waiting for it (`scanning`), and to be removed
    (`doomed`)."""
    row = await db.reads.fetchrow(_MEDIA)
    return {} if row is None else {state: int(count) for state, count in row.items()}
