"""What the calendar sync reads and writes of its own rows: the pairs of events, and the state of calendars and of
connections. What was written by somebody is sealed and comes and goes as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from models.calendar_sync import CalendarConflict, EventLink
from models.queries.access import reached
from models.queries.limits import beyond_of

_CALENDAR: Final = text(
    """SELECT l.*, c.provider, c.state AS connection_state, c.epoch, c.credential_ct, c.policy, c.household_id,
              c.remove_copies, c.disconnected_at, u.timezone, u.state AS user_state, clock_timestamp() AS now
         FROM calendar_links l JOIN calendar_connections c ON c.id = l.connection_id JOIN users u ON u.id = l.user_id
        WHERE l.id = :link"""
)
_VISIBLE: Final = "a.role IN ('owner', 'caretaker')"
_REACHED: Final = f"""SELECT x.id FROM appointments x {reached("x.household_id", "x.pet_id", by=":user")}
    WHERE {_VISIBLE} AND :appointments"""  # noqa: S608 - our own words
_APPOINTMENTS: Final = f"{_REACHED} AND x.deleted_at IS NULL"
_REMINDERS: Final = f"""SELECT x.id FROM reminders x {reached("x.household_id", "x.pet_id", by=":user")}
    WHERE x.deleted_at IS NULL AND x.state = 'active' AND {_VISIBLE} AND :reminders"""  # noqa: S608 - our own words
# By `local_id`, which the index has beside the calendar: by `appointment_id` each would be looked for among all pairs.
_UNLINKED: Final = text(
    f"""SELECT x.id, coalesce((SELECT max(l.generation) FROM event_links l
                                WHERE l.calendar_link_id = :link AND l.appointment_id = x.id), 0) AS generation
         FROM appointments x {reached("x.household_id", "x.pet_id", by=":user")}
        WHERE x.deleted_at IS NULL AND {_VISIBLE} AND :appointments AND x.status <> 'cancelled'
          AND NOT EXISTS (SELECT FROM event_links l WHERE l.calendar_link_id = :link AND l.local_id = x.id
                             AND l.state <> 'dead')
        ORDER BY x.id LIMIT :limit"""  # noqa: S608 - our own words
)
# A reminder has as many events as times of day: which, its schedule says, whenever it is another version.
_RESCHEDULED: Final = text(
    f"""SELECT x.id FROM reminders x {reached("x.household_id", "x.pet_id", by=":user")}
        WHERE x.deleted_at IS NULL AND x.state = 'active' AND {_VISIBLE} AND :reminders
          AND NOT EXISTS (SELECT FROM event_links l WHERE l.calendar_link_id = :link AND l.local_id = x.id
                             AND l.state <> 'dead' AND l.local_version_at_base IN (x.version, -1))
        ORDER BY x.id LIMIT :limit"""  # noqa: S608 - our own words
)
_GENERATIONS: Final = text(
    """SELECT part, max(generation) AS generation FROM event_links
        WHERE calendar_link_id = :link AND reminder_id = :reminder_id GROUP BY part"""
)
_PENDING: Final = text(
    f"""SELECT l.id, l.remote_id FROM event_links l
         LEFT JOIN appointments p ON p.id = l.appointment_id
         LEFT JOIN reminders r ON r.id = l.reminder_id
         LEFT JOIN calendar_inbox_items i ON i.calendar_link_id = l.calendar_link_id AND i.remote_id = l.remote_id
              AND NOT i.handled
        WHERE l.calendar_link_id = :link AND l.state NOT IN ('dead', 'hidden')
          AND (l.retry_at IS NULL OR l.retry_at <= clock_timestamp())
          AND (l.intent_ct IS NOT NULL
               OR (i.remote_id IS NOT NULL AND NOT (:without_deletions AND i.removed))
               OR l.local_version_at_base <> coalesce(p.version, r.version)
               OR (l.state = 'live' AND l.remote_id IS NOT NULL
                   AND l.local_id NOT IN ({_APPOINTMENTS}) AND l.local_id NOT IN ({_REMINDERS})))
        ORDER BY l.intent_ct IS NULL, l.id LIMIT :limit"""  # noqa: S608 - our own words
)
_PET: Final = """coalesce((SELECT x.pet_id FROM appointments x WHERE x.id = l.appointment_id),
                               (SELECT x.pet_id FROM reminders x WHERE x.id = l.reminder_id))"""
# One that was deleted may come back with an edit, while its person would see it.
_LOAD: Final = text(
    f"""SELECT l.*, i.payload_etag, coalesce(i.handled, true) AS handled, coalesce(i.removed, false) AS removed,
              EXISTS ({_REACHED} AND x.id = l.appointment_id) OR EXISTS ({_REMINDERS} AND x.id = l.reminder_id)
              AS visible,
              {beyond_of(_PET)} AS read_only
         FROM event_links l
         LEFT JOIN calendar_inbox_items i ON i.calendar_link_id = l.calendar_link_id AND i.remote_id = l.remote_id
        WHERE l.id = ANY(:ids)"""  # noqa: S608 - our own words
)
_PAIRS: Final = text("SELECT * FROM event_links WHERE id = ANY(:ids)")
_OURS: Final = text(
    """SELECT id, remote_id, generation FROM event_links
        WHERE calendar_link_id = :link AND local_id = :local_id AND part = :part AND state <> 'dead'"""
)
_FIND_AGAIN: Final = text("UPDATE event_links SET remote_id = :remote_id, generation = :generation WHERE id = :id")
_SAVE: Final = text(
    """UPDATE event_links
          SET state = :state, remote_id = :remote_id, remote_etag = :etag, generation = :generation,
              agreed_ct = :agreed_ct, intent_ct = :intent_ct, local_version_at_base = :version, error = :error,
              delays = 0, retry_at = NULL
        WHERE id = :id"""
)
_INTEND: Final = text(
    """UPDATE event_links SET intent_ct = :intent_ct, remote_id = :remote_id, generation = :generation WHERE id = :id"""
)
_PUT_OFF: Final = text(
    """UPDATE event_links SET delays = delays + 1, retry_at = clock_timestamp() + interval '30 s'
        WHERE id = :id RETURNING delays"""
)
_RESULT: Final = text(
    """UPDATE calendar_links
          SET health = :health, failures = :failures, last_error = :error, next_poll_at = :next_poll_at,
              last_ok_at = CASE WHEN :ok THEN clock_timestamp() ELSE last_ok_at END,
              deletes_confirmed = deletes_confirmed AND :keep_confirmed,
              changed_at = CASE WHEN :changed THEN clock_timestamp() ELSE changed_at END,
              version = version + CAST(health <> :health OR last_error IS DISTINCT FROM :error AS int),
              updated_at = clock_timestamp()
        WHERE id = :link"""
)
_CHANGED: Final = text("UPDATE calendar_links SET changed_at = clock_timestamp() WHERE id = :link")
_CHANNELS: Final = text("UPDATE calendar_links SET push_channels = CAST(:channels AS jsonb) WHERE id = :link")
_TAKEN: Final = text(
    "SELECT remote_calendar_id FROM calendar_links WHERE remote_calendar_id = ANY(:calendar_ids) AND id <> :link"
)
_FOUND: Final = text("UPDATE calendar_links SET remote_calendar_id = :calendar_id WHERE id = :link")
_STATE: Final = text(
    """UPDATE calendar_connections SET state = :state, version = version + 1, updated_at = clock_timestamp()
        WHERE id = :id AND epoch = :epoch AND state IN ('connecting', 'active') AND state <> :state"""
)
_CREDENTIAL: Final = text(
    "UPDATE calendar_connections SET credential_ct = :credential_ct WHERE id = :id AND epoch = :epoch"
)
_FORGET: Final = text("DELETE FROM calendar_connections WHERE id = :id AND state = 'disconnected'")
_LET_GO: Final = text(
    """UPDATE calendar_links SET push_channels = '[]',
              remote_calendar_id = CASE WHEN c.remove_copies THEN NULL ELSE remote_calendar_id END
         FROM calendar_connections c WHERE calendar_links.id = :link AND c.id = calendar_links.connection_id"""
)
_BURY_ALL: Final = text(
    """UPDATE event_links l SET state = 'dead', remote_id = NULL, remote_etag = NULL, agreed_ct = NULL, intent_ct = NULL
         FROM calendar_connections c WHERE l.calendar_link_id = :link AND c.id = :id AND c.remove_copies"""
)
_WITHOUT_CREDENTIAL: Final = text(
    "UPDATE calendar_connections SET credential_ct = NULL WHERE id = :id AND epoch = :epoch AND state = 'disconnected'"
)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar with its connection, as one statement saw it."""

    row: RowMapping

    def __getattr__(self, name: str) -> Any:
        return self.row[name]


async def calendar(session: AsyncSession, link_id: UUID) -> Calendar | None:
    """None when it is gone."""
    row = (await session.execute(_CALENDAR, {"link": link_id})).mappings().one_or_none()
    return Calendar(row) if row else None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a calendar shows: of whom, and which kinds of events."""

    user_id: UUID
    appointments: bool
    reminders: bool

    @classmethod
    def of(cls, calendar: Calendar) -> "Shown":
        """As its person chose; everything, unless they did."""
        policy = calendar.policy
        kinds = (bool(policy.get(kind, True)) for kind in ("appointments", "reminders"))
        return cls(calendar.user_id, *kinds)

    @property
    def values(self) -> dict[str, object]:
        """As the statements take it."""
        return {"user": self.user_id, "appointments": self.appointments, "reminders": self.reminders}


async def unlinked(session: AsyncSession, link_id: UUID, shown: Shown, limit: int) -> Sequence[RowMapping]:
    """`id, generation` of appointments that this calendar has no event of."""
    values = {"link": link_id, "user": shown.user_id, "appointments": shown.appointments, "limit": limit}
    return (await session.execute(_UNLINKED, values)).mappings().all()


async def rescheduled(session: AsyncSession, link_id: UUID, shown: Shown, limit: int) -> Sequence[UUID]:
    """Reminders of which it has to be looked how many events they are."""
    values = {"link": link_id, "user": shown.user_id, "reminders": shown.reminders, "limit": limit}
    return list((await session.execute(_RESCHEDULED, values)).scalars())


async def generations(session: AsyncSession, link_id: UUID, reminder_id: UUID) -> Mapping[str, int]:
    """By part, the generation that the next create of it has."""
    rows = await session.execute(_GENERATIONS, {"link": link_id, "reminder_id": reminder_id})
    return {row.part: row.generation for row in rows}


async def add_links(session: AsyncSession, links: Sequence[Mapping[str, Any]]) -> None:
    """New pairs, of the columns that each of them names, except where there is one of this local event, or of this
    counterpart, already."""
    if links:
        await session.execute(insert(EventLink).on_conflict_do_nothing(), links)


async def pending(
    session: AsyncSession, link_id: UUID, shown: Shown, limit: int, *, without_deletions: bool
) -> Sequence[tuple[UUID, str | None]]:
    """See `activities.calendar_store.Store.pending`."""
    values = {"link": link_id, "limit": limit, "without_deletions": without_deletions, **shown.values}
    return [(row.id, row.remote_id) for row in await session.execute(_PENDING, values)]


async def load(session: AsyncSession, ids: Sequence[UUID], shown: Shown) -> Sequence[RowMapping]:
    """Pairs, what the list last said of them, and whether their local events are (still) shown there."""
    return (await session.execute(_LOAD, {"ids": list(ids), **shown.values})).mappings().all()


async def pairs(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[RowMapping]:
    """Those alone, as they are."""
    return (await session.execute(_PAIRS, {"ids": list(ids)})).mappings().all()


async def of_local(session: AsyncSession, link_id: UUID, local_id: UUID, part: str) -> RowMapping | None:
    """`id, remote_id, generation` of the pair of a local event."""
    found = await session.execute(_OURS, {"link": link_id, "local_id": local_id, "part": part})
    return found.mappings().one_or_none()


async def found_again(session: AsyncSession, event_link_id: UUID, remote_id: str, generation: int) -> None:
    """The pair knows its counterpart from now on."""
    await session.execute(_FIND_AGAIN, {"id": event_link_id, "remote_id": remote_id, "generation": generation})


async def save_links(session: AsyncSession, links: Sequence[Mapping[str, Any]]) -> None:
    """`id, state, remote_id, etag, generation, agreed_ct, intent_ct, version, error` of each."""
    if links:
        await session.execute(_SAVE, links)


async def intend(session: AsyncSession, links: Sequence[Mapping[str, Any]]) -> None:
    """`id, intent_ct, remote_id, generation` of each."""
    await session.execute(_INTEND, links)


async def put_off(session: AsyncSession, event_link_id: UUID) -> int:
    """Later; how often in a row by now."""
    return int((await session.execute(_PUT_OFF, {"id": event_link_id})).scalar_one())


async def add_conflicts(session: AsyncSession, conflicts: Sequence[CalendarConflict]) -> None:
    """What was lost."""
    if conflicts:
        session.add_all(conflicts)
        await session.flush()


async def note_result(session: AsyncSession, **values: Any) -> None:
    """`link, health, failures, error, next_poll_at, ok, keep_confirmed, changed`."""
    await session.execute(_RESULT, values)


async def note_change(session: AsyncSession, link_id: UUID) -> None:
    """Something was written, here or there."""
    await session.execute(_CHANGED, {"link": link_id})


async def set_channels(session: AsyncSession, link_id: UUID, channels: Sequence[Mapping[str, object]]) -> None:
    """The push channels that there are."""
    await session.execute(_CHANNELS, {"link": link_id, "channels": orjson.dumps(list(channels)).decode()})


async def taken(session: AsyncSession, link_id: UUID, calendar_ids: Sequence[str]) -> frozenset[str]:
    """Those that are kept in step for somebody else already: two people may share an account."""
    found = await session.execute(_TAKEN, {"link": link_id, "calendar_ids": list(calendar_ids)})
    return frozenset(found.scalars())


async def set_calendar(session: AsyncSession, link_id: UUID, calendar_id: str) -> None:
    """The calendar of ours in the account."""
    await session.execute(_FOUND, {"link": link_id, "calendar_id": calendar_id})


async def set_state(session: AsyncSession, connection_id: UUID, epoch: int, state: str) -> bool:
    """What a look at the account has shown, unless its person acted meanwhile. Whether anything changed."""
    found = await session.execute(_STATE, {"id": connection_id, "epoch": epoch, "state": state})
    return bool(getattr(found, "rowcount", 0))


async def set_credential(session: AsyncSession, connection_id: UUID, epoch: int, credential_ct: str) -> None:
    """The provider gave us another token, for the credential of this epoch."""
    await session.execute(_CREDENTIAL, {"id": connection_id, "epoch": epoch, "credential_ct": credential_ct})


async def let_go(session: AsyncSession, link_id: UUID, connection_id: UUID, epoch: int) -> None:
    """A disconnected account is not entered any more. Where the copies there were removed, no pair is left."""
    await session.execute(_WITHOUT_CREDENTIAL, {"id": connection_id, "epoch": epoch})  # the connection comes first
    await session.execute(_LET_GO, {"link": link_id})
    await session.execute(_BURY_ALL, {"link": link_id, "id": connection_id})


async def forget(session: AsyncSession, connection_id: UUID) -> None:
    """A disconnected account, with everything that was remembered of it."""
    await session.execute(_FORGET, {"id": connection_id})
