"""Events that are in a person's calendars alone: what they entered there and do not want as appointments. Nobody else
reads them, in no household."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from core.db import Database

COLUMN: Final = "calendar_inbox_items.event_ct"
"""The event as the JSON of `domain.calendar_json`, sealed for its person."""
# What has become an appointment is the line of that; a calendar that is gone holds nothing.
IN_SPAN: Final = """
SELECT i.calendar_link_id, i.remote_id, i.event_ct, c.id AS connection_id, c.provider
  FROM calendar_links l
  JOIN calendar_connections c ON c.id = l.connection_id AND c.state <> 'disconnected'
  JOIN calendar_inbox_items i ON i.calendar_link_id = l.id AND i.event_ct IS NOT NULL AND NOT i.removed
 WHERE l.user_id = $1 AND l.remote_calendar_id IS NOT NULL AND l.health <> 'calendar_missing'
   AND (i.ends_utc IS NULL OR i.ends_utc >= $2) AND i.starts_utc < $3
   AND NOT EXISTS (SELECT FROM event_links e
                    WHERE e.calendar_link_id = i.calendar_link_id AND e.remote_id = i.remote_id)
 ORDER BY i.starts_utc, i.remote_id LIMIT $4"""


async def in_span(db: Database, user_id: UUID, span: tuple[datetime, datetime], limit: int) -> Sequence[asyncpg.Record]:
    """Those that may take place in the span, by their first start, at most `limit`."""
    return await db.reads.fetch(IN_SPAN, user_id, *span, limit)
