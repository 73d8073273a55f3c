"""What a calendar's list said, until somebody looked at it: pages, whole rounds, and what they leave in doubt."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

_COUNTERPART: Final = "l.calendar_link_id = :link AND l.remote_id IS NOT NULL AND l.state IN ('live', 'quarantined')"
_BEGIN_FULL: Final = text(
    """UPDATE calendar_links SET full_sync_in_progress = true, full_epoch = full_epoch + 1, page_state = NULL,
              cursor = NULL, cursor_shape_version = :shape,
              health = CASE WHEN health = 'ok' THEN 'resyncing' ELSE health END
        WHERE id = :link RETURNING full_epoch, news, news_read"""
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
              news_read = :news, last_full_at = CASE WHEN :full THEN clock_timestamp() ELSE last_full_at END,
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
# What nobody has taken up yet, and a whole list does not name, is asked for; so is what is shown before it is gone.
_DISTRUST: Final = text(
    """UPDATE calendar_inbox_items
          SET payload_ct = NULL, removed = false, handled = false, seen_in_full_epoch = :epoch
        WHERE calendar_link_id = :link AND CASE
              WHEN event_ct IS NOT NULL THEN removed OR seen_in_full_epoch < :epoch
              ELSE NOT handled AND NOT removed AND seen_in_full_epoch < :epoch END"""
)
_PURGE: Final = text(
    """DELETE FROM calendar_inbox_items i
        WHERE i.calendar_link_id = :link AND CASE
              WHEN EXISTS (SELECT FROM event_links l WHERE l.calendar_link_id = :link AND l.remote_id = i.remote_id)
              THEN i.handled
              ELSE i.removed OR (i.handled AND i.seen_in_full_epoch < :epoch) END"""
)
# What is there is counted only where something is gone.
_ABSENT: Final = text(
    f"""SELECT g.gone, c.full_listed,
              CASE WHEN g.gone > 0 THEN (SELECT count(*) FROM event_links l WHERE {_COUNTERPART}) ELSE 0 END AS live
         FROM calendar_links c, (
              SELECT count(*) AS gone FROM calendar_inbox_items i
                JOIN event_links l ON l.calendar_link_id = i.calendar_link_id AND l.remote_id = i.remote_id
               WHERE i.calendar_link_id = :link AND i.removed AND NOT i.handled AND {_COUNTERPART}) g
        WHERE c.id = :link"""  # noqa: S608 - our own words
)
_STRANGERS: Final = text(
    """SELECT i.remote_id, i.payload_ct, i.payload_etag FROM calendar_inbox_items i
        WHERE i.calendar_link_id = :link AND (NOT i.handled OR (:adopt AND i.event_ct IS NOT NULL))
          AND NOT i.removed AND NOT EXISTS (
              SELECT FROM event_links l WHERE l.calendar_link_id = i.calendar_link_id AND l.remote_id = i.remote_id)
        ORDER BY i.remote_id LIMIT :limit"""
)
_HANDLED: Final = text(
    """UPDATE calendar_inbox_items i
          SET handled = true, payload_ct = NULL, event_ct = NULL, starts_utc = NULL, ends_utc = NULL
         FROM unnest(CAST(:remote_ids AS text[]), CAST(:etags AS text[])) AS h (remote_id, etag)
        WHERE i.calendar_link_id = :link AND i.remote_id = h.remote_id AND i.payload_etag IS NOT DISTINCT FROM h.etag"""
)
_SHOW: Final = text(
    """UPDATE calendar_inbox_items i
          SET handled = true, payload_ct = NULL, event_ct = s.event_ct, starts_utc = s.starts_utc, ends_utc = s.ends_utc
         FROM jsonb_to_recordset(CAST(:shown AS jsonb))
              AS s (remote_id text, etag text, event_ct text, starts_utc timestamptz, ends_utc timestamptz)
        WHERE i.calendar_link_id = :link AND i.remote_id = s.remote_id AND i.payload_etag IS NOT DISTINCT FROM s.etag"""
)


async def begin_full(session: AsyncSession, link_id: UUID, shape: int) -> RowMapping:
    """A whole list begins; answers `full_epoch, news, news_read`."""
    return (await session.execute(_BEGIN_FULL, {"link": link_id, "shape": shape})).mappings().one()


async def keep_page(session: AsyncSession, link_id: UUID, epoch: int, entries: Sequence[Mapping[str, Any]]) -> None:
    """Entries `{remote_id, payload_ct, payload_etag, removed}`; the last of several of one id counts."""
    by_id = {entry["remote_id"]: entry for entry in entries}
    page = orjson.dumps(list(by_id.values())).decode()
    await session.execute(_KEEP_PAGE, {"link": link_id, "epoch": epoch, "page": page})


async def next_page(session: AsyncSession, link_id: UUID, page: str) -> None:
    """Where the round goes on."""
    await session.execute(_NEXT_PAGE, {"link": link_id, "page": page})


async def round_read(
    session: AsyncSession, link_id: UUID, cursor: str | None, shape: int, epoch: int, *, full: bool, news: int
) -> None:
    """The round is over, which began when there were so many `news`; of a whole one, what it did not name is asked
    for."""
    if full:
        await session.execute(_SWEEP, {"link": link_id, "epoch": epoch})
    values = {"link": link_id, "cursor": cursor, "shape": shape, "full": full, "epoch": epoch, "news": news}
    await session.execute(_ROUND_READ, values)
    await session.execute(_DISTRUST, {"link": link_id, "epoch": epoch})  # what was named is counted by now
    await session.execute(_PURGE, {"link": link_id, "epoch": epoch})


async def absent(session: AsyncSession, link_id: UUID) -> RowMapping | None:
    """`gone, live, full_listed`: how many counterparts are said to be gone, out of how many, if any are; and how many
    events the last whole list had."""
    return (await session.execute(_ABSENT, {"link": link_id})).mappings().one_or_none()


async def strangers(session: AsyncSession, link_id: UUID, limit: int, *, adopt: bool) -> Sequence[RowMapping]:
    """`remote_id, payload_ct, payload_etag` of new entries that no link knows; with `adopt` also of those shown."""
    return (await session.execute(_STRANGERS, {"link": link_id, "limit": limit, "adopt": adopt})).mappings().all()


async def handled(session: AsyncSession, link_id: UUID, etags: Mapping[str, str | None]) -> None:
    """The entries of these ids were looked at, where they are still those with these etags."""
    if etags:
        values = {"link": link_id, "remote_ids": list(etags), "etags": list(etags.values())}
        await session.execute(_HANDLED, values)


async def show(session: AsyncSession, link_id: UUID, shown: Sequence[Mapping[str, object]]) -> None:
    """As `handled`, but what they say stays: `{remote_id, etag, event_ct, starts_utc, ends_utc}` of each."""
    await session.execute(_SHOW, {"link": link_id, "shown": orjson.dumps(list(shown)).decode()})
