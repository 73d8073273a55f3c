"""Lines that wait for a person's next digest, and the digest that takes them along: rows of the ledger.

A line is a delivery of the channel e-mail in the state `folded` with the reason `digest`; the digest is a delivery of
its own, unique per person and moment, and `folded_into` says which one told it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from models.queries.absences import away_until, sat_at
from models.queries.access import reached
from models.queries.reminders import OCCURRENCE

TEMPLATE: Final = "digest"
STEP: Final = "digest"
"""What tells the digest itself from any other notice in those words."""
_LINE: Final = "state = 'folded' AND reason = 'digest' AND folded_into IS NULL"
_PEOPLE = text(
    f"""SELECT user_id, min(created_at) AS oldest FROM deliveries
        WHERE {_LINE} AND (CAST(:after AS uuid) IS NULL OR user_id > :after)
        GROUP BY user_id ORDER BY user_id LIMIT :limit"""  # noqa: S608 - our own words
)
_CLAIM = text(
    f"""WITH digest AS (
           INSERT INTO deliveries (id, event_key, user_id, channel, step, template, category, state, attempt)
           VALUES (:id, :event_key, :user_id, 'email', '{STEP}', '{TEMPLATE}', 'digest', 'planned', 0)
           ON CONFLICT (event_key, user_id, channel, step) DO NOTHING
           RETURNING id)
       UPDATE deliveries d SET folded_into = digest.id FROM digest
        WHERE d.user_id = :user_id AND d.created_at < :moment AND {_LINE.replace("state", "d.state", 1)}
       RETURNING digest.id"""  # noqa: S608 - our own words
)
_DROP = text(
    f"""UPDATE deliveries SET state = 'withdrawn', reason = :reason
        WHERE user_id = :user_id AND {_LINE} RETURNING id"""  # noqa: S608 - our own words
)
_WORDS: Final = f"{OCCURRENCE}, r.id AS reminder_id, r.class, r.title_ct, p.id AS pet_id, p.name_ct AS pet_name_ct"
# What was done meanwhile is no news any more; the same occurrence is told once, whatever its steps were.
_LINES = text(
    f"""SELECT DISTINCT ON (o.instant, o.id) {_WORDS}
          FROM deliveries d
          JOIN occurrences o ON o.id = d.occurrence_id AND o.state IN ('due', 'missed')
          JOIN reminders r ON r.id = o.reminder_id AND r.deleted_at IS NULL AND r.state <> 'paused'
          {reached("r.household_id", "r.pet_id", by="d.user_id")}
          LEFT JOIN pets p ON p.id = r.pet_id
         WHERE d.folded_into = :id
         ORDER BY o.instant, o.id"""  # noqa: S608 - our own words
)
_COMING = text(
    f"""SELECT {_WORDS}
          FROM reminders r
          JOIN occurrences o ON o.reminder_id = r.id AND o.state = 'scheduled' AND o.instant < :until
          JOIN memberships m ON m.household_id = r.household_id AND m.user_id = r.user_id AND m.left_at IS NULL
          LEFT JOIN pets p ON p.id = r.pet_id
         WHERE r.user_id = :user_id AND r.deleted_at IS NULL AND r.state = 'active'
           AND {away_until("o.instant", unless=sat_at("o.instant"))} IS NULL
         ORDER BY o.instant, o.id"""  # noqa: S608 - our own words
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody with lines for a digest; `oldest` is when the first of them was written."""

    user_id: UUID
    oldest: datetime


async def people(session: AsyncSession, after: UUID | None, limit: int) -> list[Waiting]:
    """Those for whom lines wait, by id."""
    found = await session.execute(_PEOPLE, {"after": after, "limit": limit})
    return [Waiting(row.user_id, row.oldest) for row in found]


async def claim(session: AsyncSession, user_id: UUID, moment: datetime) -> UUID | None:
    """The digest of this moment with every line written before it. None: it was claimed before."""
    values = {"id": new_id(), "user_id": user_id, "moment": moment, "event_key": f"digest/{moment:%Y-%m-%dT%H:%MZ}"}
    found: UUID | None = (await session.execute(_CLAIM, values)).scalars().first()
    return found


async def drop(session: AsyncSession, user_id: UUID, reason: str) -> list[UUID]:
    """This person wants no digest, or can get none: the lines are closed, and say why."""
    return list((await session.execute(_DROP, {"user_id": user_id, "reason": reason})).scalars())


async def lines(session: AsyncSession, digest_id: UUID) -> Sequence[RowMapping]:
    """What the digest tells, as it stands now: still open, or missed."""
    return (await session.execute(_LINES, {"id": digest_id})).mappings().all()


async def coming(session: AsyncSession, user_id: UUID, until: datetime) -> Sequence[RowMapping]:
    """The next one of each of this person's own reminders, if somebody will be asked for it before `until`."""
    return (await session.execute(_COMING, {"user_id": user_id, "until": until})).mappings().all()
