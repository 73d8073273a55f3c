"""The ledger of a reminder's notices: one row per occurrence, person, channel and step, claimed before anything leaves.

A claimed row is `planned` until the provider accepted it, `deferred` while it must not leave yet; who talks to the
provider holds its lease (`deliveries`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Row, RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from core import live
from core.ids import new_id
from core.live import Name
from domain import reminder_delivery
from domain.escalation import DIGEST
from domain.reminder_series import Notice, Occurrence, ReminderClass, ReminderState, grace_of
from domain.reminder_steps import UNDELIVERED, WITHDRAWN
from domain.schedule_json import from_stored
from models.notification import Channel, DeliveryState
from models.queries.access import OWN
from models.queries.deliveries import MAY_LEASE, TAKE_LEASE, WAITING
from models.queries.reminders import OCCURRENCE, Locked, occurrence_of
from models.user import UserState

TEMPLATE: Final = "reminder_due"
GATHERING: Final = "gathering"
"""Reason of late notices that wait for others of the same person, to be said in one message."""
GATHER_SECONDS: Final = 5
"""Shorter than what an outage may add to lateness (10 s, reliability-and-privacy.md F4)."""

_CLAIM = text(
    f"""WITH claimed AS (
           INSERT INTO deliveries
                  (id, event_key, user_id, channel, step, template, category, occurrence_id, reminder_id, state, reason,
                   not_before, attempt)
           SELECT t.id, :event_key, t.user_id, t.channel, :step, '{TEMPLATE}', :category, :occurrence_id, :reminder_id,
                  CASE WHEN unwanted THEN 'withdrawn' ELSE t.state END,
                  CASE WHEN unwanted THEN 'preference' ELSE t.reason END,
                  CASE WHEN t.state = 'deferred' THEN clock_timestamp() + interval '{GATHER_SECONDS} s' END, 0
             FROM unnest(CAST(:ids AS uuid[]), CAST(:people AS uuid[]), CAST(:channels AS text[]),
                         CAST(:states AS text[]), CAST(:reasons AS text[])) AS t (id, user_id, channel, state, reason),
                  LATERAL (SELECT t.channel = 'in_app' AND EXISTS (
                      SELECT FROM notification_preferences p
                       WHERE p.user_id = t.user_id AND p.category = :category AND p.channel = t.channel
                         AND NOT p.enabled)) AS refused (unwanted)
           ON CONFLICT (event_key, user_id, channel, step) DO NOTHING
           RETURNING id, user_id, channel, state),
       shown AS (
           INSERT INTO notifications (id, user_id, delivery_id, occurrence_id)
           SELECT t.notification_id, c.user_id, c.id, :occurrence_id
             FROM claimed c
             JOIN unnest(CAST(:ids AS uuid[]), CAST(:notifications AS uuid[])) AS t (id, notification_id) ON t.id = c.id
            WHERE c.channel = 'in_app' AND c.state = 'sent')
       SELECT id, user_id, channel, state FROM claimed"""  # noqa: S608 - our own words
)
_UNSENT = text(
    f"""SELECT d.id FROM deliveries d
        WHERE d.reminder_id = :reminder_id AND {WAITING}
          AND (d.not_before IS NULL OR d.not_before <= greatest(:now, clock_timestamp())) ORDER BY d.id"""  # noqa: S608
)
_WAITING = text(
    f"""SELECT min(greatest(d.at, d.not_before, d.claimed_until)) FROM deliveries d
        WHERE d.reminder_id = :reminder_id AND {WAITING}"""  # noqa: S608 - our own words
)
_NOTICE = f"""UPDATE deliveries d
          SET {TAKE_LEASE}
         FROM occurrences o
         JOIN reminders r ON r.id = o.reminder_id
         LEFT JOIN pets p ON p.id = r.pet_id
         LEFT JOIN users closer ON closer.id = o.closed_by
         LEFT JOIN LATERAL (
              SELECT count(*) AS missed, min(c.instant) AS missed_from FROM occurrences c
               WHERE c.reminder_id = r.id AND c.state = 'missed' AND c.closed_at = coalesce(o.closed_at, o.notified_at)
              ) past ON true,
              users u
        WHERE o.id = d.occurrence_id AND u.id = d.user_id AND {MAY_LEASE}
          AND (d.not_before IS NULL OR d.not_before <= greatest(:now, clock_timestamp())) AND """  # noqa: S608
_WORDS = f"""
       RETURNING d.id, d.created_at AS claimed_at, d.step, d.channel, d.category, d.attempt, d.user_id,
                 clock_timestamp() AS now,
                 d.reason = '{GATHERING}' AS gathering, r.id AS reminder_id, r.schedule, r.class, r.title_ct,
                 r.description_ct, r.state AS reminder_state, p.id AS pet_id, p.name_ct AS pet_name_ct, u.email_ct,
                 u.phone_ct, u.first_name_ct, u.locale, u.timezone, u.state AS user_state, past.missed,
                 past.missed_from, o.closed_by AS closer_id, closer.first_name_ct AS closer_name_ct,
                 {OCCURRENCE},
                 (SELECT min(n.instant) FROM occurrences n
                   WHERE n.reminder_id = r.id AND n.state = 'scheduled') AS next_at,
                 EXISTS (SELECT FROM pet_access a
                          WHERE a.user_id = d.user_id AND a.household_id = r.household_id
                            AND (a.pet_id IS NULL OR a.pet_id = r.pet_id) AND {OWN}) AS may_know"""  # noqa: S608
_LEASE = text(f"{_NOTICE} d.id = :id {_WORDS}").columns(schedule=JSONB)
_LEASE_COMPANIONS = text(
    f"""{_NOTICE} d.user_id = :user_id AND d.channel = :channel AND d.reason = '{GATHERING}' AND d.id <> :id {_WORDS}"""
).columns(schedule=JSONB)
# What has not left is called back; one that is being sent is left to whoever holds its lease. The pushes that were
# shown come back: on their devices they would still ask for what is done.
_WITHDRAW = text(
    f"""WITH called_back AS (
           UPDATE deliveries d SET state = 'withdrawn', reason = :reason, at = clock_timestamp()
            WHERE d.occurrence_id = ANY(CAST(:occurrence_ids AS uuid[])) AND d.folded_into IS NULL
              AND (d.state = 'folded' OR {MAY_LEASE}) AND d.step NOT LIKE '{WITHDRAWN}%')
       SELECT DISTINCT ON (d.user_id, d.occurrence_id) d.id FROM deliveries d
        WHERE d.occurrence_id = ANY(CAST(:occurrence_ids AS uuid[])) AND d.channel = 'push'
          AND d.state IN ('sent', 'delivered') AND d.step NOT LIKE '{WITHDRAWN}%'
        ORDER BY d.user_id, d.occurrence_id, d.id DESC"""  # noqa: S608 - our own words
)
_RETRACT = text(
    f"""INSERT INTO deliveries (id, event_key, user_id, channel, step, template, category, occurrence_id, reminder_id,
                               state, attempt)
       SELECT t.id, s.event_key, s.user_id, s.channel, '{WITHDRAWN}' || s.step, s.template, s.category, s.occurrence_id,
              s.reminder_id, 'planned', 0
         FROM unnest(CAST(:ids AS uuid[]), CAST(:shown AS uuid[])) AS t (id, shown_id)
         JOIN deliveries s ON s.id = t.shown_id
       ON CONFLICT (event_key, user_id, channel, step) DO NOTHING"""  # noqa: S608 - our own words
)

# Whoever sees the same notice in the app already needs no word about the channel; what is done is no news.
_UNREACHED = text(
    f"""SELECT d.user_id, d.channel, d.step, d.category, d.event_key, d.occurrence_id, d.reminder_id FROM deliveries d
          JOIN occurrences o ON o.id = d.occurrence_id AND o.state IN ('scheduled', 'due', 'missed')
         WHERE d.id = ANY(CAST(:ids AS uuid[])) AND d.step NOT LIKE '{WITHDRAWN}%'
           AND NOT EXISTS (SELECT FROM deliveries a
                            WHERE a.event_key = d.event_key AND a.user_id = d.user_id AND a.channel = 'in_app'
                              AND a.step = d.step AND a.state = 'sent')
         ORDER BY d.id"""  # noqa: S608 - our own words
)
# A digest, or late ones in one message: what it carried is found among the person's own rows.
_FAIL_FOLDED = text(
    """UPDATE deliveries d SET state = 'failed', reason = :reason, at = clock_timestamp()
        WHERE d.user_id = (SELECT f.user_id FROM deliveries f WHERE f.id = :id) AND d.folded_into = :id
          AND d.state = 'folded'
       RETURNING d.id"""
)


_Rows = Mapping[tuple[UUID, str], tuple[str, str | None]]
"""(person, channel) → (state, reason)."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A planned notice that this process alone may send now, with its words as they are at this moment (sealed)."""

    id: UUID
    claimed_at: datetime
    step: str
    channel: Channel
    category: str
    klass: ReminderClass
    attempt: int
    gathering: bool
    reminder_id: UUID
    title_ct: str
    description_ct: str | None
    pet_id: UUID | None
    pet_name_ct: str | None
    user_id: UUID
    email_ct: str
    phone_ct: str | None
    first_name_ct: str | None
    locale: str
    timezone: str
    occurrence_id: UUID
    occurrence: Occurrence
    missed: int
    missed_from: datetime | None
    closer_id: UUID | None
    closer_name_ct: str | None
    next_at: datetime | None
    """When the next occurrence is due: a notice held back until then is folded into its notice."""
    now: datetime
    unwanted: str | None
    """Why it must not leave any more; None: it may."""


_MADE: Final = frozenset({"occurrence", "unwanted", "klass", "channel"})
_LEASED_COLUMNS: Final = tuple(f.name for f in fields(Leased) if f.name not in _MADE)


@dataclass(frozen=True, slots=True)
class Claimed:
    """Notices that were claimed just now: `pending` are to be sent; `waiting`: some were put off."""

    pending: tuple[UUID, ...] = ()
    waiting: bool = False

    def __add__(self, other: "Claimed") -> "Claimed":
        return Claimed(self.pending + other.pending, self.waiting or other.waiting)


def event_key(reminder_id: UUID, occurrence_key: str) -> str:
    """What a delivery is about, in the ledger's words."""
    return f"reminder/{reminder_id}/{occurrence_key}"


async def claim(session: AsyncSession, locked: Locked, notice: Notice, occurrence_id: UUID, *, late: bool) -> Claimed:
    """One row per person and channel, the in-app line with it. Claimed ones stay as they are: repeating it claims
    nothing. `late` ones wait a moment for others of the same person."""
    found = await _insert(
        session,
        _rows(locked, notice, late=late),
        event_key=event_key(locked.series.reminder_id, notice.key),
        step=notice.step,
        category=locked.category,
        occurrence_id=occurrence_id,
        reminder_id=locked.series.reminder_id,
    )
    return Claimed(
        pending=tuple(row.id for row in found if row.state == DeliveryState.PLANNED),
        waiting=any(row.state == DeliveryState.DEFERRED for row in found),
    )


async def tell_undelivered(session: AsyncSession, leased: Leased) -> None:
    """A line in the app: this notice did not reach the person on the channel it was meant for."""
    await _insert(
        session,
        {(leased.user_id, Channel.IN_APP): (DeliveryState.SENT, None)},
        event_key=event_key(leased.reminder_id, leased.occurrence.key),
        step=f"{UNDELIVERED}:{leased.channel}:{leased.step}",
        category=leased.category,
        occurrence_id=leased.occurrence_id,
        reminder_id=leased.reminder_id,
    )


async def tell_unreached(session: AsyncSession, delivery_ids: Sequence[UUID]) -> None:
    """Lines in the app about notices that came back or may not be sent, so that silence is never the result."""
    if not delivery_ids:
        return
    for row in (await session.execute(_UNREACHED, {"ids": list(delivery_ids)})).mappings().all():
        await _insert(
            session,
            {(row["user_id"], Channel.IN_APP): (DeliveryState.SENT, None)},
            event_key=row["event_key"],
            step=f"{UNDELIVERED}:{row['channel']}:{row['step']}",
            category=row["category"],
            occurrence_id=row["occurrence_id"],
            reminder_id=row["reminder_id"],
        )


async def fail_folded(session: AsyncSession, delivery_id: UUID, reason: str | None) -> None:
    """What this message should have said too did not arrive either: the app says it instead."""
    folded = (await session.execute(_FAIL_FOLDED, {"id": delivery_id, "reason": reason})).scalars()
    await tell_unreached(session, list(folded))


async def _insert(session: AsyncSession, rows: _Rows, **what: object) -> Sequence[Row[Any]]:
    if not rows:
        return ()
    lines = {new_id(): new_id() for _ in rows}
    values = {
        "ids": list(lines),
        "notifications": list(lines.values()),
        "people": [person for person, _ in rows],
        "channels": [channel for _, channel in rows],
        "states": [state for state, _ in rows.values()],
        "reasons": [reason for _, reason in rows.values()],
    }
    found = (await session.execute(_CLAIM, values | what)).all()
    for row in found:
        if row.channel == Channel.IN_APP and row.state == DeliveryState.SENT:
            said = {"notification_id": lines[row.id], "occurrence_id": what["occurrence_id"]}
            live.say(session, (row.user_id,), Name.NOTIFICATION_CREATED, **said)
    return found


def _rows(locked: Locked, notice: Notice, *, late: bool) -> _Rows:
    """A message of its own goes before a line in the digest."""
    rows: dict[tuple[UUID, str], tuple[str, str | None]] = {}
    for who, method in sorted(notice.targets, key=lambda target: target[1] == DIGEST):
        for person in locked.people(who):
            if method == DIGEST:
                rows.setdefault((person, Channel.EMAIL), (DeliveryState.FOLDED, DIGEST))
            elif method == Channel.IN_APP:
                rows.setdefault((person, method), (DeliveryState.SENT, None))
            elif late:
                rows.setdefault((person, method), (DeliveryState.DEFERRED, GATHERING))
            else:
                rows.setdefault((person, method), (DeliveryState.PLANNED, None))
    return rows


async def unsent(session: AsyncSession, reminder_id: UUID, now: datetime) -> tuple[UUID, ...]:
    """Notices that may leave by `now` and have not: put off, or claimed by a run that did not live to send them."""
    return tuple((await session.execute(_UNSENT, {"reminder_id": reminder_id, "now": now})).scalars())


async def waiting(session: AsyncSession, reminder_id: UUID) -> datetime | None:
    """When the earliest notice that has not left may leave; None when all have."""
    found: datetime | None = (await session.execute(_WAITING, {"reminder_id": reminder_id})).scalar_one()
    return found


async def lease(session: AsyncSession, delivery_id: UUID, now: datetime) -> Leased | None:
    """The right to send it, and what to say. None: somebody else has it, it is settled, or its time has not come."""
    row = (await session.execute(_LEASE, {"id": delivery_id, "now": now})).mappings().one_or_none()
    return _leased(row) if row else None


async def lease_companions(session: AsyncSession, leased: Leased) -> list[Leased]:
    """The other late notices of the same person and channel that wait to be said together, each with its lease."""
    gathered = leased.now + timedelta(seconds=GATHER_SECONDS)
    values = {"id": leased.id, "user_id": leased.user_id, "channel": leased.channel, "now": gathered}
    return [_leased(row) for row in (await session.execute(_LEASE_COMPANIONS, values)).mappings()]


async def withdraw(session: AsyncSession, occurrence_ids: Sequence[UUID], reason: str) -> None:
    """These occurrences are closed: call back what has not left, and replace what is shown on devices."""
    values = {"occurrence_ids": list(occurrence_ids), "reason": reason}
    shown = list((await session.execute(_WITHDRAW, values)).scalars())
    if shown:
        await session.execute(_RETRACT, {"ids": [new_id() for _ in shown], "shown": shown})


def _leased(row: RowMapping) -> Leased:
    values = {name: row[name] for name in _LEASED_COLUMNS}
    return Leased(
        **values,
        channel=Channel(row["channel"]),
        klass=ReminderClass(row["class"]),
        occurrence=occurrence_of(row),
        unwanted=_unwanted(row),
    )


def _unwanted(row: RowMapping) -> str | None:
    if row["user_state"] != UserState.ACTIVE or not row["may_know"]:
        return "not_a_member"
    if row["reminder_state"] == ReminderState.PAUSED and not row["step"].startswith(WITHDRAWN):
        return str(row["reminder_state"])
    grace = grace_of(from_stored(row["schedule"]), ReminderClass(row["class"]))
    return reminder_delivery.unwanted(occurrence_of(row), row["step"], grace, row["now"])
