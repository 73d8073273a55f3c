"""The ledger of a reminder's notices: one row per occurrence, person, channel and step, claimed before anything leaves.

A claimed row is `planned` until the provider accepted it; who talks to the provider holds its lease (`deliveries`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from domain import reminder_delivery
from domain.reminder_series import Notice, Occurrence, ReminderClass, ReminderState, grace_of
from domain.schedule_json import from_stored
from models.notification import Channel
from models.queries.deliveries import MAY_LEASE, TAKE_LEASE
from models.queries.reminders import OCCURRENCE, occurrence_of
from models.user import UserState

LIVE: Final = frozenset({Channel.EMAIL, Channel.IN_APP})
"""Channels this release speaks. The others are accepted and stored, and each notice says why they stayed silent."""
TEMPLATE: Final = "reminder_due"

_CLAIM = text(
    """WITH claimed AS (
           INSERT INTO deliveries
                  (id, event_key, user_id, channel, step, template, occurrence_id, state, reason, attempt)
           SELECT t.id, :event_key, t.user_id, t.channel, :step, :template, :occurrence_id, t.state, t.reason, 0
             FROM unnest(CAST(:ids AS uuid[]), CAST(:people AS uuid[]), CAST(:channels AS text[]),
                         CAST(:states AS text[]), CAST(:reasons AS text[])) AS t (id, user_id, channel, state, reason)
           ON CONFLICT (event_key, user_id, channel, step) DO NOTHING
           RETURNING id, user_id, channel, state),
       shown AS (
           INSERT INTO notifications (id, user_id, delivery_id, occurrence_id)
           SELECT t.notification_id, c.user_id, c.id, :occurrence_id
             FROM claimed c
             JOIN unnest(CAST(:ids AS uuid[]), CAST(:notifications AS uuid[])) AS t (id, notification_id) ON t.id = c.id
            WHERE c.channel = 'in_app')
       SELECT id FROM claimed WHERE state = 'planned'"""
)
_UNSENT = text(
    """SELECT d.id FROM deliveries d JOIN occurrences o ON o.id = d.occurrence_id
        WHERE o.reminder_id = :reminder_id AND o.state = 'due' AND d.state = 'planned' ORDER BY d.id"""
)
_LEASE = text(
    f"""UPDATE deliveries d
          SET {TAKE_LEASE}
         FROM occurrences o
         JOIN reminders r ON r.id = o.reminder_id
         LEFT JOIN pets p ON p.id = r.pet_id,
              users u
        WHERE d.id = :id AND o.id = d.occurrence_id AND u.id = d.user_id AND {MAY_LEASE}
       RETURNING d.id, d.step, d.user_id, clock_timestamp() AS now, r.id AS reminder_id, r.schedule,
                 r.class, r.title_ct, r.description_ct, r.state AS reminder_state, p.id AS pet_id,
                 p.name_ct AS pet_name_ct, u.email_ct, u.first_name_ct, u.locale, u.timezone, u.state AS user_state,
                 {OCCURRENCE},
                 EXISTS (SELECT FROM memberships m WHERE m.household_id = r.household_id AND m.user_id = d.user_id
                            AND m.left_at IS NULL) AS is_member,
                 (SELECT count(*) FROM occurrences c WHERE c.reminder_id = r.id AND c.state = 'missed'
                     AND c.closed_at = o.notified_at) AS missed"""  # noqa: S608 - our own names
).columns(schedule=JSONB)


@dataclass(frozen=True, slots=True)
class Leased:
    """A planned notice that this process alone may send now, with its words as they are at this moment (sealed)."""

    id: UUID
    step: str
    reminder_id: UUID
    title_ct: str
    description_ct: str | None
    pet_id: UUID | None
    pet_name_ct: str | None
    user_id: UUID
    email_ct: str
    first_name_ct: str | None
    locale: str
    timezone: str
    occurrence_id: UUID
    occurrence: Occurrence
    missed: int
    unwanted: str | None
    """Why it must not leave any more; None: it may."""


_LEASED_COLUMNS: Final = tuple(f.name for f in fields(Leased) if f.name not in {"occurrence", "unwanted"})


def event_key(reminder_id: UUID, occurrence_key: str) -> str:
    """What a delivery is about, in the ledger's words."""
    return f"reminder/{reminder_id}/{occurrence_key}"


async def claim(
    session: AsyncSession,
    reminder_id: UUID,
    notice: Notice,
    occurrence_id: UUID,
    *,
    people: Sequence[UUID],
    methods: Sequence[str],
) -> list[UUID]:
    """One row per person and channel, the in-app line with it; answers those that must be sent. Claimed ones stay as
    they are: repeating it claims nothing."""
    targets = [(person, Channel(method)) for person in people for method in methods]
    if not targets:
        return []
    states = [_born(channel) for _, channel in targets]
    values = {
        "event_key": event_key(reminder_id, notice.key),
        "step": notice.step,
        "template": TEMPLATE,
        "occurrence_id": occurrence_id,
        "ids": [new_id() for _ in targets],
        "notifications": [new_id() for _ in targets],
        "people": [person for person, _ in targets],
        "channels": [channel.value for _, channel in targets],
        "states": [state for state, _ in states],
        "reasons": [reason for _, reason in states],
    }
    return list((await session.execute(_CLAIM, values)).scalars())


async def unsent(session: AsyncSession, reminder_id: UUID) -> list[UUID]:
    """Planned notices of what is due: claimed by a run that did not live to send them."""
    return list((await session.execute(_UNSENT, {"reminder_id": reminder_id})).scalars())


async def lease(session: AsyncSession, delivery_id: UUID) -> Leased | None:
    """The right to send it, and what to say. None: somebody else has it, or it is settled."""
    row = (await session.execute(_LEASE, {"id": delivery_id})).mappings().one_or_none()
    if row is None:
        return None
    values = {name: row[name] for name in _LEASED_COLUMNS}
    return Leased(**values, occurrence=occurrence_of(row), unwanted=_unwanted(row))


def _unwanted(row: RowMapping) -> str | None:
    if row["reminder_state"] != ReminderState.ACTIVE:
        return str(row["reminder_state"])
    if row["user_state"] != UserState.ACTIVE or not row["is_member"]:
        return "not_a_member"
    grace = grace_of(from_stored(row["schedule"]), ReminderClass(row["class"]))
    return reminder_delivery.unwanted(occurrence_of(row), row["step"], grace, row["now"])


def _born(channel: Channel) -> tuple[str, str | None]:
    if channel is Channel.IN_APP:
        return "sent", None
    return ("planned", None) if channel in LIVE else ("failed", "pending_channel")
