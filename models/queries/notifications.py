"""Lines in the app. Which ones somebody sees is decided when they look: a line is withdrawn by the task being done."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core import live
from core.db import Database, raw_connection
from core.live import Name
from domain.reminder_steps import LEAD, UNDELIVERED
from models.queries.access import reached

UNREAD_SHOWN: Final = 100
"""Counting stops here: whoever left ten thousand unread learns "99+" as well."""

# Done, skipped, cancelled, deleted, or no longer of this household: there is nothing left to tell. An undo brings the
# line back, because nothing was taken away. Lines about no occurrence (billing, calendars …) stay.
_SHOWN = f"""
  FROM notifications n
  JOIN deliveries d ON d.id = n.delivery_id
  LEFT JOIN LATERAL (
       SELECT o.id, o.instant, o.nominal, o.tzid, o.late, o.state, r.id AS reminder_id, r.title_ct, p.id AS pet_id,
              p.name_ct AS pet_name_ct
         FROM occurrences o
         JOIN reminders r ON r.id = o.reminder_id AND r.deleted_at IS NULL
         {reached("r.household_id", "r.pet_id", by="n.user_id")}
         LEFT JOIN pets p ON p.id = r.pet_id AND p.deleted_at IS NULL
        WHERE o.id = n.occurrence_id
          AND (o.state IN ('due', 'missed')
               OR (o.state = 'scheduled' AND (d.step LIKE '{LEAD}%' OR d.step LIKE '{UNDELIVERED}:%:{LEAD}%')))
       ) task ON true
 WHERE n.user_id = $1 AND n.withdrawn_at IS NULL AND (n.occurrence_id IS NULL OR task.id IS NOT NULL)"""  # noqa: S608
_LINE = f"""
SELECT n.id, n.created_at, n.read_at, n.occurrence_id, d.id AS delivery_id, d.template, d.step, d.category, d.params_ct,
       task.instant, task.nominal, task.tzid, task.late, task.state, task.reminder_id, task.title_ct, task.pet_id,
       task.pet_name_ct {_SHOWN}"""
_ONE = f"{_LINE} AND n.id = $2"
PAGE = f"{_LINE} AND ($2::uuid IS NULL OR n.id < $2) ORDER BY n.id DESC LIMIT $3"
_UNREAD = f"SELECT count(*) FROM (SELECT {_SHOWN} AND n.read_at IS NULL LIMIT {UNREAD_SHOWN}) unread"  # noqa: S608 - our own words
_READ = text(
    """UPDATE notifications SET read_at = clock_timestamp()
        WHERE id = :id AND user_id = :user_id AND read_at IS NULL RETURNING id"""
)
_READ_ALL = text(
    """UPDATE notifications SET read_at = clock_timestamp()
        WHERE user_id = :user_id AND read_at IS NULL AND (CAST(:up_to AS uuid) IS NULL OR id <= :up_to) RETURNING id"""
)


async def page(db: Database, user_id: UUID, after: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """The newest first, before an id."""
    return await db.reads.fetch(PAGE, user_id, after, limit)


async def unread(db: Database, user_id: UUID) -> int:
    """How many of them nobody has read, at most `UNREAD_SHOWN`."""
    row = await db.reads.fetchrow(_UNREAD, user_id)
    return int(row[0]) if row else 0


async def read(session: AsyncSession, user_id: UUID, notification_id: UUID) -> asyncpg.Record | None:
    """Mark it as read, once; answers the line as it is now. None: this person sees no such line."""
    if (await session.execute(_READ, {"id": notification_id, "user_id": user_id})).one_or_none() is not None:
        live.say(session, (user_id,), Name.NOTIFICATION_READ, notification_id=notification_id)
    return await (await raw_connection(session)).fetchrow(_ONE, user_id, notification_id)


async def read_all(session: AsyncSession, user_id: UUID, up_to: UUID | None) -> int:
    """Mark as read what there is up to a line; answers how many are still unread."""
    last = (await session.execute(_READ_ALL, {"user_id": user_id, "up_to": up_to})).scalars().all()
    if last:
        live.say(session, (user_id,), Name.NOTIFICATION_READ, up_to=max(last))
    return int(await (await raw_connection(session)).fetchval(_UNREAD, user_id))
