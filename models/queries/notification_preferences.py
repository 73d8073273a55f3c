"""What people chose about notifications, and what every send asks before it leaves.

`notification_settings` is the root of a person's choices: its row is locked by every change of the matrix, the quiet
hours and the settings, and its version is the ETag of all three. Without a row everything is as it is by default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from core.read_pool import ReadPool
from domain.notification import MATRIX, Account, Category, Channel, Digest, DigestFrequency, Standing
from domain.quiet_hours import QuietHours, Window
from models.queries.devices import REACHABLE
from models.user import UserState

Cells = Mapping[tuple[str, str], bool]

# Arrays of words and times: both drivers' connections read them alike, whatever they make of JSON.
_CHOSEN: Final = """u.timezone,
    coalesce(s.version, 1) AS version, coalesce(s.critical_bypass, true) AS critical_bypass,
    coalesce(s.digest_frequency, 'daily') AS digest_frequency, coalesce(s.digest_weekday, 0) AS digest_weekday,
    coalesce(s.digest_at, '08:00') AS digest_at,
    ARRAY(SELECT c.category || '/' || c.channel || '/' || c.enabled FROM notification_preferences c
           WHERE c.user_id = u.id) AS cells,
    ARRAY(SELECT q.starts FROM quiet_hours q WHERE q.user_id = u.id ORDER BY q.starts) AS starts,
    ARRAY(SELECT q.ends FROM quiet_hours q WHERE q.user_id = u.id ORDER BY q.starts) AS ends"""
STANDING: Final = f"""
SELECT u.id, u.state, u.locale, u.email_verified_at IS NOT NULL AS verified, u.phone_ct IS NOT NULL AS has_phone,
       EXISTS (SELECT {REACHABLE} AND v.user_id = u.id) AS has_device,
       EXISTS (SELECT FROM mail_suppressions m WHERE m.address_hmac = u.email_bidx) AS suppressed,
       ARRAY(SELECT e.purpose
               FROM (SELECT DISTINCT ON (c.purpose) c.purpose, c.action FROM consents c
                      WHERE c.user_id = u.id ORDER BY c.purpose, c.id DESC) e
              WHERE e.action = 'granted') AS granted,
       {_CHOSEN}
  FROM users u LEFT JOIN notification_settings s ON s.user_id = u.id
 WHERE u.id = :user_id"""  # noqa: S608 - our own words
_STANDING = text(STANDING)
_CHOICES: Final = f"""
SELECT {_CHOSEN} FROM users u LEFT JOIN notification_settings s ON s.user_id = u.id WHERE u.id = $1"""  # noqa: S608 - our own words
# An update that changes nothing locks the row and brings back what is really there (ON CONFLICT DO NOTHING would not).
_LOCK = text(
    """INSERT INTO notification_settings (user_id)
       SELECT id FROM users WHERE id = :user_id AND state NOT IN ('erasing', 'erased')
       ON CONFLICT (user_id) DO UPDATE SET user_id = EXCLUDED.user_id
       RETURNING version"""
)
_TOUCH = text(
    """UPDATE notification_settings SET version = version + 1, updated_at = clock_timestamp()
        WHERE user_id = :user_id"""
)
_SAVE = text(
    """UPDATE notification_settings
          SET digest_frequency = :frequency, digest_weekday = :weekday, digest_at = :at, critical_bypass = :bypass
        WHERE user_id = :user_id"""
)
_FORGET_CELLS = text(
    """DELETE FROM notification_preferences p
        WHERE p.user_id = :user_id
          AND (p.category, p.channel) IN
              (SELECT * FROM unnest(CAST(:categories AS text[]), CAST(:channels AS text[])))"""
)
_FORGET_ALL_CELLS = text("DELETE FROM notification_preferences WHERE user_id = :user_id")
_SET_CELLS = text(
    """INSERT INTO notification_preferences (user_id, category, channel, enabled)
       SELECT :user_id, t.category, t.channel, t.enabled
         FROM unnest(CAST(:categories AS text[]), CAST(:channels AS text[]), CAST(:enabled AS boolean[]))
              AS t (category, channel, enabled)
       ON CONFLICT (user_id, category, channel)
       DO UPDATE SET enabled = EXCLUDED.enabled, updated_at = clock_timestamp()
             WHERE notification_preferences.enabled <> EXCLUDED.enabled"""
)
_FORGET_WINDOWS = text("DELETE FROM quiet_hours WHERE user_id = :user_id")
_SET_WINDOWS = text(
    """INSERT INTO quiet_hours (user_id, starts, ends)
       SELECT :user_id, t.starts, t.ends
         FROM unnest(CAST(:starts AS time[]), CAST(:ends AS time[])) AS t (starts, ends)"""
)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose, with their zone: every wall time in it is on their own clock."""

    version: int
    timezone: str
    changed: Cells
    windows: tuple[Window, ...]
    digest: Digest
    critical_bypass: bool


async def standing(session: AsyncSession, user_id: UUID) -> Standing | None:
    """Everything that decides whether and when this person may be told, as it is now: one statement, by keys.

    Suppressed addresses are known by the blind index that finds accounts. None: there is no such person.
    """
    row = (await session.execute(_STANDING, {"user_id": user_id})).mappings().one_or_none()
    if row is None:
        return None
    chosen = _choices(row)
    return Standing(
        user_id=row["id"],
        account=_ACCOUNTS[UserState(row["state"])],
        verified=row["verified"],
        timezone=chosen.timezone,
        locale=row["locale"],
        changed=chosen.changed,
        granted=frozenset(row["granted"]),
        quiet_hours=tuple(QuietHours(w.start, w.end, chosen.timezone) for w in chosen.windows),
        critical_bypass=chosen.critical_bypass,
        digest=chosen.digest,
        has_phone=row["has_phone"],
        has_device=row["has_device"],
        suppressed=row["suppressed"],
    )


async def choices(reads: ReadPool, user_id: UUID) -> Choices | None:
    """What they chose. None: there is no such person."""
    row = await reads.fetchrow(_CHOICES, user_id)
    return _choices(row) if row else None


async def lock(session: AsyncSession, user_id: UUID) -> Choices | None:
    """What they chose, locked until the end of the transaction. None: nobody is there to choose any more."""
    if (await session.execute(_LOCK, {"user_id": user_id})).first() is None:
        return None
    return await _chosen(session, user_id)


async def set_cells(session: AsyncSession, locked: UUID, cells: Cells, *, others_default: bool = False) -> Choices:
    """Write cells of the matrix for the person whose choices are locked; only what differs from its default is kept.

    `others_default` brings every cell that is not named back to its default.
    """
    named = {"categories": [category for category, _ in cells], "channels": [channel for _, channel in cells]}
    if others_default:
        await session.execute(_FORGET_ALL_CELLS, {"user_id": locked})
    else:
        await session.execute(_FORGET_CELLS, {"user_id": locked} | named)
    await _set_cells(session, locked, {cell: on for cell, on in cells.items() if on is not _default(*cell)})
    return await _touched(session, locked)


async def set_windows(session: AsyncSession, locked: UUID, windows: Iterable[Window]) -> Choices:
    """Replace the quiet hours of the person whose choices are locked; every start is there once."""
    given = tuple(windows)
    await session.execute(_FORGET_WINDOWS, {"user_id": locked})
    values = {"starts": [window.start for window in given], "ends": [window.end for window in given]}
    await session.execute(_SET_WINDOWS, {"user_id": locked} | values)
    return await _touched(session, locked)


async def set_settings(session: AsyncSession, locked: UUID, digest: Digest, *, critical_bypass: bool) -> Choices:
    """Replace digest and bypass of the person whose choices are locked."""
    values = {"frequency": digest.frequency, "weekday": digest.weekday, "at": digest.at, "bypass": critical_bypass}
    await session.execute(_SAVE, {"user_id": locked} | values)
    return await _touched(session, locked)


async def _set_cells(session: AsyncSession, user_id: UUID, cells: Cells) -> None:
    values = {
        "categories": [category for category, _ in cells],
        "channels": [channel for _, channel in cells],
        "enabled": list(cells.values()),
    }
    await session.execute(_SET_CELLS, {"user_id": user_id} | values)


async def _touched(session: AsyncSession, user_id: UUID) -> Choices:
    await session.execute(_TOUCH, {"user_id": user_id})
    return await _chosen(session, user_id)


async def _chosen(session: AsyncSession, user_id: UUID) -> Choices:
    row = await (await raw_connection(session)).fetchrow(_CHOICES, user_id)
    return _choices(row)


def _choices(row: Mapping[str, Any] | asyncpg.Record) -> Choices:
    return Choices(
        version=row["version"],
        timezone=row["timezone"],
        changed=dict(map(_cell, row["cells"])),
        windows=tuple(map(Window, row["starts"], row["ends"])),
        digest=Digest(DigestFrequency(row["digest_frequency"]), row["digest_weekday"], row["digest_at"]),
        critical_bypass=row["critical_bypass"],
    )


def _cell(words: str) -> tuple[tuple[str, str], bool]:
    category, channel, enabled = words.split("/")
    return (category, channel), enabled == "true"


def _default(category: str, channel: str) -> bool:
    return MATRIX[Category(category)][Channel(channel)].enabled


_ACCOUNTS: Final = {
    UserState.ACTIVE: Account.ACTIVE,
    UserState.BLOCKED: Account.BLOCKED,
    UserState.ERASING: Account.GONE,
    UserState.ERASED: Account.GONE,
}
