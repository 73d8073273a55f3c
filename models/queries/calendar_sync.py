"""What the calendar sync reads and writes of its own rows: the list of a calendar, the pairs of events, and the state
of connections. What was written by somebody is sealed and comes and goes as text."""

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

_COUNTERPART: Final = "l.calendar_link_id = :link AND l.remote_id IS NOT NULL AND l.state IN ('live', 'quarantined')"
_CALENDAR: Final = text(
    """SELECT l.*, c.provider, c.state AS connection_state, c.epoch, c.credential_ct, c.policy, c.household_id,
              c.remove_copies, c.disconnected_at, u.timezone, u.state AS user_state, clock_timestamp() AS now
         FROM calendar_links l JOIN calendar_connections c ON c.id = l.connection_id JOIN users u ON u.id = l.user_id
        WHERE l.id = :link"""
)
_BEGIN_FULL: Final = text(
    """UPDATE calendar_links SET full_sync_in_progress = true, full_epoch = full_epoch + 1, page_state = NULL,
              cursor = NULL, cursor_shape_version = :shape,
              health = CASE WHEN health = 'ok' THEN 'resyncing' ELSE health END
        WHERE id = :link RETURNING full_epoch"""
)
# A list that names an event as we left it is an echo; whatever else it says is looked at, all of it where the list
# gives no etags.
_KEEP_PAGE: Final = text(
    """INSERT INTO calendar_inbox_items
              (calendar_link_id, remote_id, payload_ct, payload_etag, removed, seen_in_full_epoch, handled)
       SELECT :link, p.remote_id, p.payload_ct, p.payload_etag, p.removed, :epoch,
              EXISTS (SELECT FROM event_links l WHERE l.calendar_link_id = :link AND l.remote_id = p.remote_id
                         AND l.remote_etag = p.payload_etag AND l.intent_ct IS NULL AND NOT p.removed)
         FROM jsonb_to_recordset(CAST(:page AS jsonb))
              AS p (remote_id text, payload_ct text, payload_etag text, removed bool)
        WHERE NOT p.removed
           OR EXISTS (SELECT FROM event_links l WHERE l.calendar_link_id = :link AND l.remote_id = p.remote_id)
           OR EXISTS (SELECT FROM calendar_inbox_items i WHERE i.calendar_link_id = :link AND i.remote_id = p.remote_id)
       ON CONFLICT (calendar_link_id, remote_id) DO UPDATE
          SET payload_ct = excluded.payload_ct, payload_etag = excluded.payload_etag, removed = excluded.removed,
              seen_in_full_epoch = excluded.seen_in_full_epoch,
              handled = excluded.handled OR (calendar_inbox_items.handled AND NOT excluded.removed
                        AND NOT calendar_inbox_items.removed
                        AND coalesce(calendar_inbox_items.payload_etag = excluded.payload_etag, false))"""
)
_NEXT_PAGE: Final = text("UPDATE calendar_links SET page_state = :page WHERE id = :link")
_ROUND_READ: Final = text(
    """UPDATE calendar_links
          SET cursor = :cursor, cursor_shape_version = :shape, page_state = NULL, full_sync_in_progress = false,
              last_full_at = CASE WHEN :full THEN clock_timestamp() ELSE last_full_at END,
              full_listed = CASE WHEN :full THEN
                  (SELECT count(*) FROM calendar_inbox_items i
                    WHERE i.calendar_link_id = :link AND i.seen_in_full_epoch = :epoch AND NOT i.removed)
                  ELSE full_listed END
        WHERE id = :link"""
)
_SWEEP: Final = text(
    f"""INSERT INTO calendar_inbox_items
              (calendar_link_id, remote_id, payload_ct, payload_etag, removed, seen_in_full_epoch, handled)
       SELECT :link, l.remote_id, NULL, NULL, true, :epoch, false FROM event_links l
        WHERE {_COUNTERPART} AND NOT EXISTS (
              SELECT FROM calendar_inbox_items i
               WHERE i.calendar_link_id = :link AND i.remote_id = l.remote_id AND i.seen_in_full_epoch = :epoch)
       ON CONFLICT (calendar_link_id, remote_id) DO UPDATE
          SET payload_ct = NULL, payload_etag = NULL, removed = true, handled = false"""  # noqa: S608 - our own words
)
# What nobody has taken up yet, and a whole list does not name, is asked for before it is.
_DISTRUST: Final = text(
    """UPDATE calendar_inbox_items SET payload_ct = NULL
        WHERE calendar_link_id = :link AND NOT handled AND NOT removed AND seen_in_full_epoch < :epoch"""
)
_PURGE: Final = text(
    """DELETE FROM calendar_inbox_items i
        WHERE i.calendar_link_id = :link AND CASE
              WHEN EXISTS (SELECT FROM event_links l WHERE l.calendar_link_id = :link AND l.remote_id = i.remote_id)
              THEN i.handled
              ELSE i.removed OR (i.handled AND i.seen_in_full_epoch < :epoch) END"""
)
_ABSENT: Final = text(
    f"""SELECT count(*) FILTER (WHERE i.remote_id IS NOT NULL) AS gone, count(*) AS live
         FROM event_links l
         LEFT JOIN calendar_inbox_items i ON i.calendar_link_id = l.calendar_link_id AND i.remote_id = l.remote_id
              AND i.removed AND NOT i.handled
        WHERE {_COUNTERPART}"""  # noqa: S608 - our own words
)
_STRANGERS: Final = text(
    """SELECT i.remote_id, i.payload_ct, i.payload_etag FROM calendar_inbox_items i
        WHERE i.calendar_link_id = :link AND NOT i.handled AND NOT i.removed AND NOT EXISTS (
              SELECT FROM event_links l WHERE l.calendar_link_id = i.calendar_link_id AND l.remote_id = i.remote_id)
        ORDER BY i.remote_id LIMIT :limit"""
)
_HANDLED: Final = text(
    """UPDATE calendar_inbox_items i SET handled = true, payload_ct = NULL
         FROM unnest(CAST(:remote_ids AS text[]), CAST(:etags AS text[])) AS h (remote_id, etag)
        WHERE i.calendar_link_id = :link AND i.remote_id = h.remote_id AND i.payload_etag IS NOT DISTINCT FROM h.etag"""
)
_VISIBLE: Final = "a.role IN ('owner', 'caretaker')"
_APPOINTMENTS: Final = f"""SELECT x.id FROM appointments x {reached("x.household_id", "x.pet_id", by=":user")}
    WHERE x.deleted_at IS NULL AND {_VISIBLE} AND :appointments"""  # noqa: S608 - our own words
_REMINDERS: Final = f"""SELECT x.id FROM reminders x {reached("x.household_id", "x.pet_id", by=":user")}
    WHERE x.deleted_at IS NULL AND x.state = 'active' AND {_VISIBLE} AND :reminders"""  # noqa: S608 - our own words
_UNLINKED: Final = text(
    f"""SELECT x.id, coalesce((SELECT max(l.generation) FROM event_links l
                                WHERE l.calendar_link_id = :link AND l.appointment_id = x.id), 0) AS generation
         FROM appointments x {reached("x.household_id", "x.pet_id", by=":user")}
        WHERE x.deleted_at IS NULL AND {_VISIBLE} AND :appointments AND x.status <> 'cancelled'
          AND NOT EXISTS (SELECT FROM event_links l WHERE l.calendar_link_id = :link AND l.appointment_id = x.id
                             AND l.state <> 'dead')
        ORDER BY x.id LIMIT :limit"""  # noqa: S608 - our own words
)
# A reminder has as many events as times of day: which, its schedule says, whenever it is another version.
_RESCHEDULED: Final = text(
    f"""SELECT x.id FROM reminders x {reached("x.household_id", "x.pet_id", by=":user")}
        WHERE x.deleted_at IS NULL AND x.state = 'active' AND {_VISIBLE} AND :reminders
          AND NOT EXISTS (SELECT FROM event_links l WHERE l.calendar_link_id = :link AND l.reminder_id = x.id
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
_LOAD: Final = text(
    f"""SELECT l.*, i.payload_etag, coalesce(i.handled, true) AS handled, coalesce(i.removed, false) AS removed,
              EXISTS ({_APPOINTMENTS} AND x.id = l.appointment_id) OR EXISTS ({_REMINDERS} AND x.id = l.reminder_id)
              AS visible
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


async def begin_full(session: AsyncSession, link_id: UUID, shape: int) -> int:
    """A whole list begins; answers its epoch."""
    return int((await session.execute(_BEGIN_FULL, {"link": link_id, "shape": shape})).scalar_one())


async def keep_page(session: AsyncSession, link_id: UUID, epoch: int, entries: Sequence[Mapping[str, Any]]) -> None:
    """Entries `{remote_id, payload_ct, payload_etag, removed}`; the last of several of one id counts."""
    by_id = {entry["remote_id"]: entry for entry in entries}
    page = orjson.dumps(list(by_id.values())).decode()
    await session.execute(_KEEP_PAGE, {"link": link_id, "epoch": epoch, "page": page})


async def next_page(session: AsyncSession, link_id: UUID, page: str) -> None:
    """Where the round goes on."""
    await session.execute(_NEXT_PAGE, {"link": link_id, "page": page})


async def round_read(
    session: AsyncSession, link_id: UUID, cursor: str | None, shape: int, epoch: int, *, full: bool
) -> None:
    """The round is over; of a whole one, what it did not name is asked for."""
    if full:
        await session.execute(_SWEEP, {"link": link_id, "epoch": epoch})
        await session.execute(_DISTRUST, {"link": link_id, "epoch": epoch})
    values = {"link": link_id, "cursor": cursor, "shape": shape, "full": full, "epoch": epoch}
    await session.execute(_ROUND_READ, values)
    await session.execute(_PURGE, {"link": link_id, "epoch": epoch})


async def absent(session: AsyncSession, link_id: UUID) -> tuple[int, int]:
    """How many counterparts are said to be gone, out of how many."""
    row = (await session.execute(_ABSENT, {"link": link_id})).one()
    return row.gone, row.live


async def strangers(session: AsyncSession, link_id: UUID, limit: int) -> Sequence[RowMapping]:
    """`remote_id, payload_ct, payload_etag` of entries that no link knows."""
    return (await session.execute(_STRANGERS, {"link": link_id, "limit": limit})).mappings().all()


async def handled(session: AsyncSession, link_id: UUID, etags: Mapping[str, str | None]) -> None:
    """The entries of these ids were looked at, where they are still those with these etags."""
    if etags:
        values = {"link": link_id, "remote_ids": list(etags), "etags": list(etags.values())}
        await session.execute(_HANDLED, values)


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


async def add_links(session: AsyncSession, links: Sequence[EventLink]) -> None:
    """New pairs, except where there is one of this local event, or of this counterpart, already."""
    if links:
        values = [link.model_dump(exclude={"local_id", "created_at"}) for link in links]
        await session.execute(insert(EventLink).on_conflict_do_nothing(), values)


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
