"""Reminders under their row lock: loaded as the domain sees them, saved as it decided.

The lock is a statement of its own. Everything a decision rests on is read by the next one: a statement that waits for
a lock keeps the snapshot it began with, and would decide on the zone of a user who has moved meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from core import live
from core.ids import new_id
from core.live import Name
from domain import reminder_machine
from domain.access import Access, Right, Role
from domain.escalation import Who, Whom
from domain.reminder_actions import HandOver
from domain.reminder_series import (
    Given,
    Occurrence,
    OccurrenceState,
    ReminderClass,
    ReminderState,
    Series,
)
from domain.schedule_json import Zones, from_stored, to_json, zone_in_force
from models.queries import absences
from models.queries.access import reached
from models.queries.limits import beyond_of
from models.queries.reminder_words import Telling, Words

_LOCK = text("SELECT id FROM reminders WHERE id = :id AND deleted_at IS NULL FOR UPDATE")
_LOCK_BY_PERSON = text(
    f"""SELECT a.role, a.actions, {beyond_of("r.pet_id")} AS read_only FROM reminders r
         {reached("r.household_id", "r.pet_id", by=":user_id")}
        WHERE r.id = :id AND r.deleted_at IS NULL
          FOR UPDATE OF r"""  # noqa: S608 - our own words
)
_LAST_DONE = text(
    "SELECT id FROM occurrences WHERE reminder_id = :id AND state = 'done' ORDER BY instant DESC, id DESC LIMIT 1"
)
_OF_OCCURRENCE = text(
    "SELECT r.id, r.household_id FROM occurrences o JOIN reminders r ON r.id = o.reminder_id WHERE o.id = :id"
)
OCCURRENCE: Final = """o.id AS occurrence_id, o.key, o.schedule_version AS of_version, o.seq, o.nominal, o.instant,
    o.tzid, o.tzdata_version, o.state AS occurrence_state, o.late, o.notice_at, o.notified_at, o.snooze_count,
    o.round_at, o.rung, o.lead_at, o.closed_at, o.closed_by, o.completed_at, o.acknowledged_at, o.acknowledged_by,
    o.reason"""
"""What `occurrence_of` reads, from `occurrences o`."""
_LOAD = text(
    f"""SELECT r.*, clock_timestamp() AS read_at, u.timezone AS user_zone,
              coalesce(p.home_tzid, h.home_tzid) AS home_zone,
              ARRAY(SELECT m.user_id FROM memberships m JOIN users n ON n.id = m.user_id AND n.state = 'active'
                     WHERE m.household_id = r.household_id AND m.left_at IS NULL
                     ORDER BY m.role <> 'owner', m.id) AS members,
              (SELECT count(*) FROM memberships m JOIN users n ON n.id = m.user_id AND n.state = 'active'
                WHERE m.household_id = r.household_id AND m.left_at IS NULL AND m.role = 'owner') AS owners,
              CASE WHEN r.schedule->>'mode' = 'fixed' THEN
              ARRAY(SELECT c.key FROM occurrences c
                     WHERE c.reminder_id = r.id AND c.schedule_version = r.schedule_version
                       AND c.instant > clock_timestamp() - interval '3 days' AND c.state NOT IN ('scheduled', 'due'))
              END AS handled,
              (SELECT min(greatest(d.at, d.not_before, d.claimed_until)) FROM deliveries d
                WHERE d.reminder_id = r.id AND d.state IN ('planned', 'deferred')) AS unsent_at,
              CASE WHEN r.class = 'dose' THEN
              (SELECT jsonb_build_object('at', g.given_at, 'by', g.by_user_id, 'key', c.key)
                 FROM doses g JOIN occurrences c ON c.id = g.occurrence_id
                WHERE g.reminder_id = r.id AND g.state = 'given' ORDER BY g.given_at DESC LIMIT 1) END AS last_given,
              (SELECT jsonb_object_agg(a.user_id, a.actions)
                 FROM pet_access a JOIN users n ON n.id = a.user_id AND n.state = 'active'
                WHERE a.household_id = r.household_id AND a.pet_id = r.pet_id AND a.role = 'sitter') AS sitting,
              {absences.SPANS} AS absences,
              {OCCURRENCE}
         FROM reminders r
         JOIN users u ON u.id = r.user_id
         JOIN households h ON h.id = r.household_id
         LEFT JOIN pets p ON p.id = r.pet_id
         LEFT JOIN occurrences o ON o.reminder_id = r.id AND (o.state IN ('scheduled', 'due') OR o.id = :occurrence_id)
        WHERE r.id = :id AND r.deleted_at IS NULL
        ORDER BY o.seq"""  # noqa: S608 - our own names
).columns(
    **dict.fromkeys("schedule notification_methods lead_minutes steps last_given sitting absences".split(), JSONB)
)
_OCCURRENCE_COLUMNS: Final = tuple(field.name for field in fields(Occurrence))
_SHOWN: Final = ("state", "late", "instant", "notice_at", "notified_at", "snooze_count", "acknowledged_at")
"""What somebody who looks at an occurrence sees change."""
_LASTING: Final = frozenset({"key", "seq", "schedule_version", "nominal"})
_CHANGING: Final = tuple(name for name in _OCCURRENCE_COLUMNS if name not in _LASTING)
_SAME_NAMES: Final = tuple(name for name in _OCCURRENCE_COLUMNS if name not in {"state", "schedule_version"})
# One statement for all rows, because round trips are most of what a delivery costs. Postgres reads the types of the
# columns from the table itself.
_SAVE = text(
    f"""WITH changed AS (
            UPDATE occurrences o
               SET {", ".join(f"{name} = c.{name}" for name in _CHANGING)},
                   version = o.version + 1, updated_at = clock_timestamp()
              FROM jsonb_populate_recordset(NULL::occurrences, CAST(:changed AS jsonb)) c WHERE o.id = c.id),
        added AS (
            INSERT INTO occurrences (id, reminder_id, {", ".join(_OCCURRENCE_COLUMNS)})
            SELECT a.id, :id, {", ".join(f"a.{name}" for name in _OCCURRENCE_COLUMNS)}
              FROM jsonb_populate_recordset(NULL::occurrences, CAST(:added AS jsonb)) a),
        gone AS (DELETE FROM occurrences WHERE id = ANY(CAST(:gone AS uuid[])))
        UPDATE reminders
           SET state = :state, ended_reason = :ended_reason, schedule = :schedule,
               schedule_version = :schedule_version, pet_id = :pet_id, next_at = :next_at, last_seq = :last_seq,
               finished = :finished, version = version + :bump, updated_at = clock_timestamp()
         WHERE id = :id"""  # noqa: S608 - our own names
).bindparams(bindparam("schedule", type_=JSONB))
_ADD = text(
    f"""INSERT INTO occurrences (id, reminder_id, {", ".join(_OCCURRENCE_COLUMNS)})
        SELECT a.id, :id, {", ".join(f"a.{name}" for name in _OCCURRENCE_COLUMNS)}
          FROM jsonb_populate_recordset(NULL::occurrences, CAST(:added AS jsonb)) a"""  # noqa: S608 - our own names
)
_TELLING: Final = (
    bindparam("methods", type_=JSONB),
    bindparam("lead_minutes", type_=JSONB(none_as_null=True)),
    bindparam("steps", type_=JSONB(none_as_null=True)),
)
_CREATE = text(
    """INSERT INTO reminders (id, household_id, user_id, pet_id, title_ct, description_ct, class, category, schedule,
                              schedule_version, notification_methods, lead_minutes, steps, early_window_minutes,
                              min_gap_minutes, state, ended_reason, next_at, last_seq, finished)
       VALUES (:id, :household_id, :user_id, :pet_id, :title_ct, :description_ct, :klass, :category, :schedule,
               :schedule_version, :methods, :lead_minutes, :steps, :early_window_minutes, :min_gap_minutes, :state,
               :ended_reason, :next_at, :last_seq, :finished)"""
).bindparams(bindparam("schedule", type_=JSONB), *_TELLING)
_REWORD = text(
    """UPDATE reminders SET title_ct = :title_ct, description_ct = :description_ct, category = :category,
              class = :klass, notification_methods = :methods, lead_minutes = :lead_minutes, steps = :steps,
              early_window_minutes = :early_window_minutes, min_gap_minutes = :min_gap_minutes WHERE id = :id"""
).bindparams(*_TELLING)
_REMOVE = text("UPDATE reminders SET deleted_at = clock_timestamp() WHERE id = :id")


@dataclass(frozen=True, slots=True)
class Locked:
    """A series under its row lock: the domain's view, and what saving needs.

    `read_at` is the database's clock after the lock; `assignees` are those a notice goes to first, `others` the rest of
    the household, `owners` those of both who own it; `access` is that of the person who locked it, None where nobody
    did. `sitting`: whoever had a grant for its pet at that moment. Who of them may act is assigned, and whoever would
    have been comes after.
    """

    series: Series
    read_at: datetime
    zones: Zones
    assignees: tuple[UUID, ...]
    others: tuple[UUID, ...]
    owners: tuple[UUID, ...]
    category: str
    version: int
    ids: Mapping[str, UUID]
    access: Access | None = None
    sitting: Mapping[UUID, Access] = field(default_factory=dict)

    @property
    def members(self) -> tuple[UUID, ...]:
        """Everybody in the household, and who stands in for them."""
        return self.assignees + self.others

    @property
    def watching(self) -> frozenset[UUID]:
        """Everybody who sees what becomes of it."""
        return frozenset((*self.members, *self.sitting))

    def people(self, who: Whom) -> tuple[UUID, ...]:
        """Whom a step is for. A member that it names is answered also when they have left."""
        match who:
            case Who.ASSIGNEE:
                return self.assignees
            case Who.OTHERS:
                return self.others
            case Who.OWNERS:
                return self.owners
            case Who.CARETAKERS:
                return tuple(who for who in self.members if who not in self.owners and who not in self.sitting)
            case UUID():
                return (who,)
            case _:
                return self.members

    def key_of(self, occurrence_id: UUID) -> str:
        """The key of an occurrence that was loaded by its id."""
        return next(key for key, row_id in self.ids.items() if row_id == occurrence_id)


async def lock(session: AsyncSession, reminder_id: UUID) -> Locked | None:
    """The reminder, for those who act on nobody's behalf: deliveries, sweeps. None when it is gone."""
    if (await session.execute(_LOCK, {"id": reminder_id})).first() is None:
        return None
    return await _load(session, reminder_id)


async def lock_for(
    session: AsyncSession, user_id: UUID, reminder_id: UUID, occurrence_id: UUID | None = None
) -> Locked | None:
    """The reminder, for a person who may see it, with the occurrence they name. None when there is none, and for a
    sitter whose grant ended while they waited for the lock."""
    found = (await session.execute(_LOCK_BY_PERSON, {"id": reminder_id, "user_id": user_id})).first()
    locked = await _load(session, reminder_id, occurrence_id) if found else None
    if found is None or locked is None:
        return None
    own = Access.of(found.role, found.actions, read_only=found.read_only)
    access = locked.sitting.get(user_id) if found.role == Role.SITTER else own
    return replace(locked, access=replace(access, read_only=own.read_only)) if access else None


async def home_of(session: AsyncSession, occurrence_id: UUID) -> tuple[UUID, UUID] | None:
    """(reminder, household) of an occurrence, before the lock. A move may come first: it seals anew what is written."""
    row = (await session.execute(_OF_OCCURRENCE, {"id": occurrence_id})).one_or_none()
    return None if row is None else (row.id, row.household_id)


async def last_done(session: AsyncSession, reminder_id: UUID) -> UUID | None:
    """The occurrence that was completed last, if any."""
    found: UUID | None = (await session.execute(_LAST_DONE, {"id": reminder_id})).scalar_one_or_none()
    return found


async def find(session: AsyncSession, reminder_id: UUID) -> Series | None:
    """The series without a lock: enough for a plan, which whoever carries it out checks again."""
    locked = await _load(session, reminder_id)
    return locked.series if locked else None


async def create(session: AsyncSession, series: Series, words: Words) -> Mapping[str, UUID]:
    """The row of a new reminder and those of its first occurrences; answers the ids of these."""
    row = {
        "id": series.reminder_id,
        "household_id": series.household_id,
        "user_id": series.user_id,
        **words.row,
        **_row(series),
    }
    await session.execute(_CREATE, row)
    ids = {o.key: new_id() for o in series.occurrences}
    await session.execute(_ADD, {"id": series.reminder_id, "added": _documents(series.occurrences, ids)})
    return ids


async def reword(session: AsyncSession, reminder_id: UUID, words: Words) -> None:
    """Say something else. `save(…, reworded=True)` follows."""
    await session.execute(_REWORD, {"id": reminder_id, **words.row})


async def remove(session: AsyncSession, reminder_id: UUID) -> None:
    """Take the reminder out of every list; its diary goes with it."""
    await session.execute(_REMOVE, {"id": reminder_id})


async def save(session: AsyncSession, before: Locked, after: Series, *, reworded: bool = False) -> Mapping[str, UUID]:
    """Write what a decision changed, and nothing else. Answers the ids of all occurrences in `after`."""
    known = {o.key: o for o in before.series.occurrences}
    added = [o for o in after.occurrences if o.key not in known]
    changed = [o for o in after.occurrences if o.key in known and o != known[o.key]]
    gone = [before.ids[key] for key in known.keys() - {o.key for o in after.occurrences}]
    bump = reworded or _row(before.series) != _row(after)
    ids = {**before.ids, **{o.key: new_id() for o in added}}
    if bump or changed or added or gone:
        rows = {"changed": _documents(changed, ids), "added": _documents(added, ids), "gone": gone}
        await session.execute(_SAVE, {"id": after.reminder_id, "bump": int(bump), **rows, **_row(after)})
        _say_changes(session, before, after, ids)
    return ids


async def hand_over(session: AsyncSession, reminder_id: UUID) -> Locked | None:
    """Have what is due told to whoever is reminded from now on. Answers the rows as they were; None: it has ended."""
    locked = await lock(session, reminder_id)
    if locked is None or locked.series.state is ReminderState.ENDED:
        return None
    change = reminder_machine.apply(locked.series, HandOver(), locked.read_at)
    await save(session, locked, change.series)
    return locked


def _say_changes(session: AsyncSession, before: Locked, after: Series, ids: Mapping[str, UUID]) -> None:
    """Everybody who sees them hears what became of the occurrences."""
    known = {o.key: o for o in before.series.occurrences}
    for o in after.occurrences:
        was = known.get(o.key)
        if was is None or any(getattr(was, name) != getattr(o, name) for name in _SHOWN):
            live.say(
                session,
                before.watching,
                Name.OCCURRENCE_UPDATED if was and was.state == o.state else Name(f"occurrence.{o.state}"),
                occurrence_id=ids[o.key],
                reminder_id=after.reminder_id,
                state=o.state,
            )


async def _load(session: AsyncSession, reminder_id: UUID, occurrence_id: UUID | None = None) -> Locked | None:
    rows = (await session.execute(_LOAD, {"id": reminder_id, "occurrence_id": occurrence_id})).mappings().all()
    return _handed_over(_locked(rows), rows[0]["sitting"] or {}) if rows else None


def _handed_over(locked: Locked, grants: Mapping[str, list[str]]) -> Locked:
    """Whoever sits and may act hears of it first, as long as their grant is in force; somebody is there, then."""
    if not grants:
        return locked
    sitting = {UUID(by): Access.of(Role.SITTER, actions, read_only=False) for by, actions in sorted(grants.items())}
    acting = tuple(user_id for user_id, access in sitting.items() if access.may(Right.ACT))
    if not acting:
        return replace(locked, sitting=sitting)
    series = replace(locked.series, absences=())
    return replace(locked, series=series, sitting=sitting, assignees=acting, others=locked.members)


def _locked(rows: Sequence[RowMapping]) -> Locked:
    row = rows[0]
    # Whose clock it was, until they left: a household is not moved by people who no longer belong to it.
    stays = row["user_id"] in row["members"]
    zones = Zones(home=row["home_zone"], user=row["user_zone"] if stays else row["home_zone"])
    schedule = from_stored(row["schedule"])
    telling = Telling.of(row)
    members, owners = tuple(row["members"]), row["members"][: row["owners"]]
    assignees, others = _split(row["user_id"], members, row["owners"])
    return Locked(
        series=Series(
            reminder_id=row["id"],
            household_id=row["household_id"],
            user_id=row["user_id"],
            pet_id=row["pet_id"],
            klass=ReminderClass(row["class"]),
            state=ReminderState(row["state"]),
            schedule=schedule,
            zone=zone_in_force(schedule, zones),
            ended_reason=row["ended_reason"],
            occurrences=tuple(occurrence_of(found) for found in rows if found["occurrence_id"] is not None),
            top=row["last_seq"],
            finished=row["finished"],
            handled=frozenset(row["handled"] or ()),
            unsent_at=row["unsent_at"],
            policy=telling.policy,
            leads=telling.leads,
            guard=telling.guard,
            last_given=_given(row["last_given"]),
            absences=absences.spans_of(row["absences"]),
        ),
        read_at=row["read_at"],
        zones=zones,
        assignees=assignees,
        others=others,
        owners=tuple(owners),
        category=row["category"],
        version=row["version"],
        ids={found["key"]: found["occurrence_id"] for found in rows if found["occurrence_id"] is not None},
    )


def _split(maker: UUID, members: tuple[UUID, ...], owners: int) -> tuple[tuple[UUID, ...], tuple[UUID, ...]]:
    """Whoever made the reminder hears of it; once they have left the household, its owners do. And everybody else."""
    if maker in members:
        return (maker,), tuple(member for member in members if member != maker)
    return members[:owners], members[owners:]


def _given(document: Mapping[str, str] | None) -> Given | None:
    if document is None:
        return None
    return Given(document["key"], datetime.fromisoformat(document["at"]), UUID(document["by"]))


def occurrence_of(row: RowMapping) -> Occurrence:
    """The domain's view of a row that selected `OCCURRENCE`."""
    values: dict[str, Any] = {name: row[name] for name in _SAME_NAMES}
    return Occurrence(**values, state=OccurrenceState(row["occurrence_state"]), schedule_version=row["of_version"])


def _documents(occurrences: Iterable[Occurrence], ids: Mapping[str, UUID]) -> str:
    """The rows of these occurrences as JSON: a list of objects with the names of the columns."""
    rows = [{"id": ids[o.key], **{name: getattr(o, name) for name in _OCCURRENCE_COLUMNS}} for o in occurrences]
    return orjson.dumps(rows, default=str).decode()  # the driver's UUIDs are a class of their own


def _row(series: Series) -> dict[str, object]:
    return {
        "state": series.state,
        "ended_reason": series.ended_reason,
        "schedule": to_json(series.schedule),
        "schedule_version": series.schedule.version,
        "pet_id": series.pet_id,
        "next_at": series.next_at,
        "last_seq": series.top,
        "finished": series.finished,
    }
