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
from domain.absence import AWAY
from domain.escalation import DIGEST
from domain.notification import Forbidden
from domain.reminder_delivery import TOO_LATE
from domain.reminder_series import Notice, Occurrence, ReminderClass, ReminderState, grace_of
from domain.reminder_steps import UNDELIVERED, WITHDRAWN
from domain.schedule_json import from_stored
from models.notification import Channel, DeliveryState
from models.queries import absences, deliveries, retractions
from models.queries.access import OWN
from models.queries.deliveries import ABANDONED_REASON, ACKNOWLEDGEMENT_LOST, MAY_LEASE, TAKE_LEASE, WAITING
from models.queries.devices import REACHABLE
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
           SELECT t.id, :event_key, t.user_id, CASE WHEN mailed THEN 'email' ELSE t.channel END, :step, '{TEMPLATE}',
                  :category, :occurrence_id, :reminder_id,
                  CASE WHEN unwanted THEN 'withdrawn' WHEN gathers THEN 'deferred' ELSE t.state END,
                  CASE WHEN unwanted THEN 'preference' WHEN gathers THEN '{GATHERING}' ELSE t.reason END,
                  CASE WHEN gathers THEN clock_timestamp() + interval '{GATHER_SECONDS} s' END, 0
             FROM unnest(CAST(:ids AS uuid[]), CAST(:people AS uuid[]), CAST(:channels AS text[]),
                         CAST(:states AS text[]), CAST(:reasons AS text[])) AS t (id, user_id, channel, state, reason),
                  LATERAL (SELECT t.channel = 'push' AND NOT EXISTS (
                      SELECT {REACHABLE} AND v.user_id = t.user_id)) AS without_device (mailed),
                  LATERAL (SELECT t.state = 'deferred' OR mailed AND :late) AS late (gathers),
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
_MAIL_INSTEAD = text(
    f"""UPDATE deliveries d SET channel = 'email', claimed_until = NULL, attempt = attempt - 1
         WHERE d.id = :id AND d.channel = 'push' AND {WAITING} AND d.reason IS DISTINCT FROM '{ACKNOWLEDGEMENT_LOST}'
           AND NOT EXISTS (SELECT FROM deliveries m
                            WHERE m.event_key = d.event_key AND m.user_id = d.user_id AND m.channel = 'email'
                              AND m.step = d.step)
        RETURNING d.id"""  # noqa: S608 - our own words
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
                            AND (a.pet_id IS NULL OR a.pet_id = r.pet_id) AND {OWN}) AS may_know,
                 {absences.away_until("greatest(:now, clock_timestamp())", unless=absences.SAT_NOW)}
                     AS away_until"""  # noqa: S608
_LEASE = text(f"{_NOTICE} d.id = :id {_WORDS}").columns(schedule=JSONB)
_LEASE_COMPANIONS = text(
    f"""{_NOTICE} d.user_id = :user_id AND d.channel = :channel AND d.reason = '{GATHERING}' AND d.id <> :id {_WORDS}"""
).columns(schedule=JSONB)
# One that is being sent is left to whoever holds its lease.
_CALL_BACK = text(
    f"""UPDATE deliveries d
          SET state = 'withdrawn', reason = {ABANDONED_REASON}, claimed_until = NULL, at = clock_timestamp()
        WHERE d.occurrence_id = ANY(CAST(:occurrence_ids AS uuid[])) AND d.folded_into IS NULL
          AND (d.state = 'folded' OR {MAY_LEASE}) AND d.step NOT LIKE '{WITHDRAWN}%'"""  # noqa: S608 - our own words
)
# What is done is no news.
_UNREACHED = text(
    f"""SELECT d.user_id, d.channel, d.step, d.category, d.event_key, d.occurrence_id, d.reminder_id FROM deliveries d
          JOIN occurrences o ON o.id = d.occurrence_id AND o.state IN ('scheduled', 'due', 'missed')
         WHERE d.id = ANY(CAST(:ids AS uuid[])) AND d.step NOT LIKE '{WITHDRAWN}%'
           AND (:twice OR NOT EXISTS (
               SELECT FROM deliveries a
                WHERE a.event_key = d.event_key AND a.user_id = d.user_id AND a.channel = 'in_app'
                  AND a.step = d.step AND a.state = 'sent'))
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
_GONE: Final = (DeliveryState.WITHDRAWN, "not_a_member")


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
    may_know: bool
    """Whether the person has access now; without it they learn that it is over, and nothing else."""
    next_at: datetime | None
    """When the next occurrence is due: a notice held back until then is folded into its notice."""
    now: datetime
    away_until: datetime | None
    """When somebody is there again to be told; None: now."""
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
    nothing. `late` ones wait a moment for others of the same person. Who has no device gets a mail for a push."""
    found = await _insert(
        session,
        _rows(locked, notice, late=late),
        event_key=event_key(locked.series.reminder_id, notice.key),
        step=notice.step,
        category=locked.category,
        occurrence_id=occurrence_id,
        reminder_id=locked.series.reminder_id,
        late=late,
    )
    return Claimed(
        pending=tuple(row.id for row in found if row.state == DeliveryState.PLANNED),
        waiting=any(row.state == DeliveryState.DEFERRED for row in found),
    )


async def mail_instead(session: AsyncSession, delivery_id: UUID) -> bool:
    """A leased push becomes a mail that is to be leased anew: its last device left after it was claimed. False: a mail
    of this step is there already, or a device may have shown it."""
    return (await session.execute(_MAIL_INSTEAD, {"id": delivery_id})).first() is not None


async def settle(
    session: AsyncSession,
    leased: Leased,
    state: DeliveryState,
    *,
    provider_id: str | None = None,
    reason: str | None = None,
) -> bool:
    """The last word about one notice, and what follows from it: a line in the app where it did not arrive, and a push
    that is taken back because its occurrence was closed while a provider was asked. Answers whether that was all."""
    await retractions.hold(session, leased.reminder_id)
    settled = await deliveries.settle(session, leased.id, state, provider_id=provider_id, reason=reason)
    if state is DeliveryState.FAILED or reason in (TOO_LATE, Forbidden.SUPPRESSED):
        await tell_unreached(session, [leased.id], twice=reason != Forbidden.SUPPRESSED)
    if leased.channel is not Channel.PUSH:
        return True
    if state is DeliveryState.SENT and leased.step.startswith(WITHDRAWN):
        await retractions.taken_back(session, leased.id, leased.now)
    elif state is DeliveryState.SENT and not settled:
        await retractions.shown_again(session, leased.id)
    return not await retractions.take_back(session, [leased.occurrence_id])


async def tell_unreached(session: AsyncSession, delivery_ids: Sequence[UUID], *, twice: bool = False) -> None:
    """Lines in the app about notices that came back or may not be sent, so that silence is never the result.

    `twice`: also to those who see the same notice in the app already, because the channel itself is news to them.
    """
    if not delivery_ids:
        return
    values = {"ids": list(delivery_ids), "twice": twice}
    for row in (await session.execute(_UNREACHED, values)).mappings().all():
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
        "late": False,
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
            if person not in locked.members:  # named by a step, and gone since: the ledger says why they hear nothing
                rows.setdefault((person, Channel.EMAIL if method == DIGEST else method), _GONE)
            elif method == DIGEST:
                rows.setdefault((person, Channel.EMAIL), (DeliveryState.FOLDED, DIGEST))
            elif method == Channel.IN_APP:
                rows.setdefault((person, method), (DeliveryState.SENT, None))
            elif late and method != Channel.PUSH:  # on a device each is taken back by itself
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
    await session.execute(_CALL_BACK, {"occurrence_ids": list(occurrence_ids), "reason": reason})
    await retractions.take_back(session, occurrence_ids)


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
    # What somebody was shown is taken back also when they have left since: a phone that asks on is answered.
    takes_back = row["step"].startswith(WITHDRAWN)
    if row["user_state"] != UserState.ACTIVE or not (row["may_know"] or takes_back):
        return "not_a_member"
    if row["reminder_state"] == ReminderState.PAUSED and not takes_back:
        return str(row["reminder_state"])
    grace = grace_of(from_stored(row["schedule"]), ReminderClass(row["class"]))
    # What does not come again by itself is said on the return.
    useless_later = row["away_until"] is not None and grace is not None and not row["step"].startswith(WITHDRAWN)
    unwanted = reminder_delivery.unwanted(occurrence_of(row), row["step"], grace, row["now"])
    return unwanted or (AWAY if useless_later else None)
