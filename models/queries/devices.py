"""Devices that take push messages. One is reachable while it is not disabled and the session that registered it lasts:
who signs out of a phone is not told there any more."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database, raw_connection
from core.ids import new_id
from domain.reminder_steps import WITHDRAWN
from models.notification import DeliveryEventKind, DeviceKind
from models.queries.deliveries import ACKNOWLEDGEMENT_LOST

MOST: Final = 20
"""Devices of a person; one more takes the place of the one that was heard of longest ago."""
REACHABLE: Final = (
    "FROM devices v JOIN sessions s ON s.id = v.session_id AND s.revoked_at IS NULL WHERE v.disabled_at IS NULL"
)

_COLUMNS = "v.id, v.kind, v.label_ct, v.last_used_at, v.created_at, v.session_id"
_OF_USER = f"SELECT {_COLUMNS} {REACHABLE} AND v.user_id = $1 ORDER BY v.id"
_ONE = f"SELECT {_COLUMNS} {REACHABLE} AND v.user_id = $1 AND v.id = $2"
# Whoever holds the token is who gets the messages: a phone that changed hands leaves its former owner.
_TAKE_OVER = text(
    """UPDATE devices SET disabled_at = clock_timestamp(), disabled_reason = 'another_account', token_ct = ''
        WHERE token_bidx = :bidx AND user_id <> :user_id AND disabled_at IS NULL"""
)
_KNOWN = text("SELECT id FROM devices WHERE token_bidx = :bidx AND user_id = :user_id AND disabled_at IS NULL")
# Ciphertexts belong to their row: of two that register the same new token at once, the first one's stay.
_REGISTER = text(
    """INSERT INTO devices (id, user_id, session_id, kind, token_ct, token_bidx, label_ct)
       VALUES (:id, :user_id, :session_id, :kind, :token_ct, :bidx, :label_ct)
       ON CONFLICT (token_bidx) WHERE disabled_at IS NULL
       DO UPDATE SET session_id = EXCLUDED.session_id, updated_at = clock_timestamp(), version = devices.version + 1,
                     token_ct = CASE WHEN devices.id = EXCLUDED.id THEN EXCLUDED.token_ct ELSE devices.token_ct END,
                     label_ct = CASE WHEN devices.id = EXCLUDED.id AND EXCLUDED.label_ct IS NOT NULL
                                THEN EXCLUDED.label_ct ELSE devices.label_ct END
        WHERE devices.user_id = EXCLUDED.user_id
       RETURNING id"""
)
_MAKE_ROOM = text(
    f"""UPDATE devices SET disabled_at = clock_timestamp(), disabled_reason = 'superseded', token_ct = ''
         WHERE id IN (SELECT id FROM devices WHERE user_id = :user_id AND disabled_at IS NULL
                       ORDER BY coalesce(last_used_at, updated_at) DESC, id DESC OFFSET {MOST})"""  # noqa: S608
)
_REMOVE = text("DELETE FROM devices WHERE id = :id AND user_id = :user_id RETURNING id")
_GONE = text(
    """UPDATE devices SET disabled_at = clock_timestamp(), disabled_reason = :reason, token_ct = ''
        WHERE id = :id AND disabled_at IS NULL"""
)
# What is taken back is taken back where it was shown, or may have been, and said elsewhere to nobody. A worker that
# died left no word about any device: each one that was there then may show it.
_TARGETS = text(
    f"""SELECT v.id, v.kind, v.token_ct, d.occurrence_id
          FROM deliveries d, LATERAL (SELECT v.* {REACHABLE} AND v.user_id = d.user_id) v
         WHERE d.id = :delivery_id
           AND NOT EXISTS (SELECT FROM delivery_events e
                            WHERE e.delivery_id = d.id AND e.device_id = v.id
                              AND (e.kind = 'accepted' OR (e.kind = 'retracted' AND e.created_at >= d.at)))
           AND (d.step NOT LIKE '{WITHDRAWN}%' OR EXISTS (
                SELECT FROM deliveries x LEFT JOIN delivery_events e ON e.delivery_id = x.id AND e.device_id = v.id
                 WHERE x.occurrence_id = d.occurrence_id AND x.user_id = d.user_id AND x.channel = 'push'
                   AND x.step NOT LIKE '{WITHDRAWN}%'
                   AND (e.kind = 'accepted' OR e.code = '{ACKNOWLEDGEMENT_LOST}'
                        OR (x.reason = '{ACKNOWLEDGEMENT_LOST}' AND v.created_at < x.at))))
         ORDER BY v.id"""  # noqa: S608 - our own words
)
_REACHED = text(
    """SELECT EXISTS (SELECT FROM delivery_events
                       WHERE delivery_id = :id AND device_id IS NOT NULL AND kind = 'accepted')"""
)
_EVENT = text(
    """WITH used AS (UPDATE devices SET last_used_at = clock_timestamp()
                      WHERE id = :device_id AND :kind IN ('accepted', 'retracted'))
       INSERT INTO delivery_events (id, delivery_id, device_id, kind, provider_id, code)
       VALUES (:id, :delivery_id, :device_id, :kind, :provider_id, :code)"""
)


@dataclass(frozen=True, slots=True)
class Target:
    """A device that a delivery has not reached yet. `token_ct` opens to its token, or its subscription as JSON."""

    id: UUID
    kind: DeviceKind
    token_ct: str = field(repr=False)
    occurrence_id: UUID | None


async def of_user(db: Database, user_id: UUID) -> Sequence[asyncpg.Record]:
    """The devices that can be reached, oldest first."""
    return await db.reads.fetch(_OF_USER, user_id)


async def known(session: AsyncSession, user_id: UUID, token_bidx: bytes) -> UUID | None:
    """The person's device with this token."""
    found: UUID | None = (await session.execute(_KNOWN, {"bidx": token_bidx, "user_id": user_id})).scalar_one_or_none()
    return found


async def register(
    session: AsyncSession,
    user_id: UUID,
    session_id: UUID,
    kind: DeviceKind,
    *,
    device_id: UUID,
    token_ct: str,
    token_bidx: bytes,
    label_ct: str | None,
) -> asyncpg.Record:
    """The device with this token, under this session from now on. `device_id`: whose ciphertexts these are."""
    values = {
        "id": device_id,
        "user_id": user_id,
        "session_id": session_id,
        "kind": kind,
        "token_ct": token_ct,
        "bidx": token_bidx,
        "label_ct": label_ct,
    }
    await session.execute(_TAKE_OVER, {"bidx": token_bidx, "user_id": user_id})
    found = (await session.execute(_REGISTER, values)).scalar_one()
    await session.execute(_MAKE_ROOM, {"user_id": user_id})
    return await (await raw_connection(session)).fetchrow(_ONE, user_id, found)


async def remove(session: AsyncSession, user_id: UUID, device_id: UUID) -> bool:
    """Forget a device of this person; False when there is none."""
    values = {"id": device_id, "user_id": user_id}
    return (await session.execute(_REMOVE, values)).scalar_one_or_none() is not None


async def targets(session: AsyncSession, delivery_id: UUID) -> list[Target]:
    """Where a delivery still has to go."""
    rows = (await session.execute(_TARGETS, {"delivery_id": delivery_id})).all()
    return [Target(row.id, DeviceKind(row.kind), row.token_ct, row.occurrence_id) for row in rows]


async def has_reached_one(session: AsyncSession, delivery_id: UUID) -> bool:
    """Whether some device took it, in whichever attempt."""
    return bool((await session.execute(_REACHED, {"id": delivery_id})).scalar_one())


async def record(
    session: AsyncSession,
    delivery_id: UUID,
    device_id: UUID,
    kind: DeliveryEventKind,
    *,
    provider_id: str | None = None,
    code: str | None = None,
) -> None:
    """What became of a delivery on one device."""
    values = {"delivery_id": delivery_id, "device_id": device_id, "kind": kind, "provider_id": provider_id}
    await session.execute(_EVENT, values | {"id": new_id(), "code": code})


async def disable(session: AsyncSession, device_id: UUID, reason: str) -> None:
    """It cannot be reached any more; its token is forgotten."""
    await session.execute(_GONE, {"id": device_id, "reason": reason})
