"""Push messages that are taken back: nothing that is closed is asked for on a device any more.

A device shows a push until another one about the same occurrence takes its place. The one that does is a delivery of
its own (`withdrawn:due`), and it leaves when what it replaces was settled: nothing comes behind it then. Both are
decided under the reminder's row, which whoever closes an occurrence holds too.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from domain.reminder_steps import MISSED, WITHDRAWN
from models.queries.deliveries import ACKNOWLEDGEMENT_LOST, WAITING

# What a provider took, or may have taken: a lost acknowledgement, or a worker that died while it asked.
_MAY_BE_SHOWN: Final = f"""d.channel = 'push' AND d.step NOT LIKE '{WITHDRAWN}%' AND d.retracted_at IS NULL
    AND (d.state IN ('sent', 'delivered') OR (d.reason = '{ACKNOWLEDGEMENT_LOST}' AND NOT {WAITING}))"""
_HOLD = text("SELECT id FROM reminders WHERE id = :id FOR KEY SHARE")
# That one was missed is still to be told: the push that says so takes the place of the others itself.
_SHOWN = text(
    f"""SELECT DISTINCT ON (d.user_id, d.occurrence_id) d.id
          FROM deliveries d
          JOIN occurrences o ON o.id = d.occurrence_id AND o.state NOT IN ('scheduled', 'due')
         WHERE d.occurrence_id = ANY(CAST(:occurrence_ids AS uuid[])) AND {_MAY_BE_SHOWN}
           AND NOT (o.state = 'missed' AND EXISTS (
               SELECT FROM deliveries m
                WHERE m.occurrence_id = d.occurrence_id AND m.user_id = d.user_id AND m.channel = 'push'
                  AND m.step = '{MISSED}' AND m.state NOT IN ('withdrawn', 'failed')))
         ORDER BY d.user_id, d.occurrence_id, d.id DESC"""  # noqa: S608 - our own words
)
# One that an undo had stopped is wanted again, and one that a sleeping sender came behind is repeated.
_RETRACT = text(
    f"""INSERT INTO deliveries (id, event_key, user_id, channel, step, template, category, occurrence_id, reminder_id,
                               state, attempt)
       SELECT t.id, s.event_key, s.user_id, s.channel, '{WITHDRAWN}' || s.step, s.template, s.category, s.occurrence_id,
              s.reminder_id, 'planned', 0
         FROM unnest(CAST(:ids AS uuid[]), CAST(:shown AS uuid[])) AS t (id, shown_id)
         JOIN deliveries s ON s.id = t.shown_id
       ON CONFLICT (event_key, user_id, channel, step) DO UPDATE
          SET state = 'planned', reason = NULL, attempt = 0, not_before = NULL, at = clock_timestamp()
        WHERE deliveries.state = 'sent'
           OR (deliveries.state = 'withdrawn' AND deliveries.reason IN ('reopened', '{ACKNOWLEDGEMENT_LOST}'))
       RETURNING id"""  # noqa: S608 - our own words
)
_TAKEN_BACK = text(
    f"""UPDATE deliveries d SET retracted_at = clock_timestamp()
          FROM deliveries w
         WHERE w.id = :id AND d.occurrence_id = w.occurrence_id AND d.user_id = w.user_id AND {_MAY_BE_SHOWN}
           AND d.at < :asked_at"""  # noqa: S608 - our own words
)
_SHOWN_AGAIN = text("UPDATE deliveries SET retracted_at = NULL, at = clock_timestamp() WHERE id = :id")


async def hold(session: AsyncSession, reminder_id: UUID) -> None:
    """Until the end of the transaction nobody closes or reopens an occurrence of this reminder."""
    await session.execute(_HOLD, {"id": reminder_id})


async def take_back(session: AsyncSession, occurrence_ids: Sequence[UUID]) -> tuple[UUID, ...]:
    """Plan to replace what devices may show of those that are closed; answers what is to be sent."""
    if not occurrence_ids:
        return ()
    shown = list((await session.execute(_SHOWN, {"occurrence_ids": list(occurrence_ids)})).scalars())
    if not shown:
        return ()
    values = {"ids": [new_id() for _ in shown], "shown": shown}
    return tuple((await session.execute(_RETRACT, values)).scalars())


async def taken_back(session: AsyncSession, delivery_id: UUID, asked_at: datetime) -> None:
    """This one has replaced what was shown when its devices were asked."""
    await session.execute(_TAKEN_BACK, {"id": delivery_id, "asked_at": asked_at})


async def shown_again(session: AsyncSession, delivery_id: UUID) -> None:
    """Whoever sent this slept over it: it had its last word, and may have been taken back, before devices took it."""
    await session.execute(_SHOWN_AGAIN, {"id": delivery_id})
