"""Devices on which an account was fully signed in to. Whoever touches one holds the row of `login_throttle` of its
account (`throttle.charge_attempt`, `forgive`, `undo`, `sign_in.enter`, which makes them), so nobody waits for each
other crosswise."""

from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.auth import DEVICE_FAILURES, DEVICE_LIFETIME
from models.session import DeviceCookie

DEVICES: Final = 20
"""Per account; the oldest makes room."""

_CHARGE = """
UPDATE device_cookies SET fails = fails + 1
 WHERE id_hash = $1 AND user_id = $2 AND fails < $3 AND expires_at > clock_timestamp()
RETURNING true"""

_FORGIVE = "UPDATE device_cookies SET fails = 0 WHERE id_hash = $1 AND user_id = $2"

# One that has used up its failures was not charged, so it gets nothing back: it stays void.
_UNDO = """
UPDATE device_cookies SET fails = greatest(fails - 1, 0) WHERE id_hash = $1 AND user_id = $2 AND fails < $3"""

_FORGET = text(
    """DELETE FROM device_cookies WHERE id_hash IN (
         SELECT id_hash FROM device_cookies
          WHERE created_at < statement_timestamp() - CAST(:lifetime AS interval)
          LIMIT :page FOR UPDATE SKIP LOCKED)
       RETURNING id_hash"""
)


async def charge(connection: asyncpg.Connection, id_hash: bytes, user_id: UUID | None) -> bool:
    """Count one attempt from this device as failed. False: it is no known device of this account, or no longer."""
    return await connection.fetchval(_CHARGE, id_hash, user_id, DEVICE_FAILURES) is True


async def forgive(connection: asyncpg.Connection, id_hash: bytes, user_id: UUID | None) -> None:
    """Its owner proved who they are on it: its failures are forgotten."""
    await connection.execute(_FORGIVE, id_hash, user_id)


async def undo(connection: asyncpg.Connection, id_hash: bytes, user_id: UUID | None) -> None:
    """Take back the charge of one attempt."""
    await connection.execute(_UNDO, id_hash, user_id, DEVICE_FAILURES)


async def forget_all(session: AsyncSession, user_id: UUID) -> None:
    """No device is known any more."""
    await session.execute(delete(DeviceCookie).where(col(DeviceCookie.user_id) == user_id))


async def forget_expired(session: AsyncSession, page: int) -> int:
    """Drop cookies past their end. Answers how many."""
    return len((await session.execute(_FORGET, {"page": page, "lifetime": DEVICE_LIFETIME})).all())
