"""Failures per account: counted before a password is looked at, and in Postgres, so that losing Redis opens nothing."""

from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.auth import FAILURES_KEPT, MAX_CONSECUTIVE_FAILURES, Attempts, Wait, charge
from models.queries import device_cookies

# The update that changes nothing locks and returns the row, whoever inserted it; the clock is read behind the lock.
_LOCK = """
INSERT INTO login_throttle (key, fails, consecutive, next_allowed_at, last_fail_at)
VALUES ($1, 0, 0, to_timestamp(0), to_timestamp(0))
ON CONFLICT (key) DO UPDATE SET key = excluded.key
RETURNING fails, consecutive, next_allowed_at, last_fail_at, clock_timestamp() AS now"""
_COUNT = """
UPDATE login_throttle SET fails = $2, consecutive = $3, next_allowed_at = $4, last_fail_at = $5 WHERE key = $1"""
_FORGIVE = """
UPDATE login_throttle SET fails = 0, consecutive = 0, next_allowed_at = clock_timestamp() WHERE key = $1"""
_UNDO = """
UPDATE login_throttle
   SET fails = greatest(fails - 1, 0), consecutive = greatest(consecutive - 1, 0), next_allowed_at = clock_timestamp()
 WHERE key = $1"""

# Whoever makes up addresses makes rows: without an end they would fill the table. An account at the cap stays there.
_FORGET = text(
    """DELETE FROM login_throttle WHERE key IN (
         SELECT key FROM login_throttle
          WHERE last_fail_at < statement_timestamp() - CAST(:age AS interval) AND consecutive < :cap
          LIMIT :page FOR UPDATE SKIP LOCKED)
       RETURNING key"""
)


async def charge_attempt(
    connection: asyncpg.Connection, key: bytes, *, device: bytes | None = None, user_id: UUID | None = None
) -> Wait | None:
    """Count one attempt as failed until `forgive` says otherwise. A `Wait` means: refuse, nothing was counted.

    The row stays locked until the caller commits, so parallel attempts are counted one after the other. `device` is the
    hash of a device cookie; one of this user's does not wait, and is counted by itself.
    """
    row = await connection.fetchrow(_LOCK, key)
    known = device is not None and await device_cookies.charge(connection, device, user_id)
    attempts = Attempts(row["fails"], row["consecutive"], row["next_allowed_at"], row["last_fail_at"])
    verdict = charge(attempts, now=row["now"], known_device=known)
    if isinstance(verdict, Wait):
        return verdict
    await connection.execute(
        _COUNT, key, verdict.fails, verdict.consecutive, verdict.next_allowed_at, verdict.last_fail_at
    )
    return None


async def forgive(
    connection: asyncpg.Connection, key: bytes, *, device: bytes | None = None, user_id: UUID | None = None
) -> None:
    """All that was asked for was right, or a new password was set: nothing is held against the account any more, nor
    against the device of this user that it was proven on."""
    await connection.execute(_FORGIVE, key)
    if device is not None:
        await device_cookies.forgive(connection, device, user_id)


async def undo(
    connection: asyncpg.Connection, key: bytes, *, device: bytes | None = None, user_id: UUID | None = None
) -> None:
    """Take back the charge of one attempt that was right and is not all that is asked for: what failed before stays
    counted. Else whoever knows the password would wipe out, by sending it again, what their guesses at codes cost."""
    await connection.execute(_UNDO, key)
    if device is not None:
        await device_cookies.undo(connection, device, user_id)


async def forget(session: AsyncSession, page: int) -> int:
    """Drop what was counted of accounts that nobody has tried for so long. Answers how many."""
    values = {"page": page, "age": FAILURES_KEPT, "cap": MAX_CONSECUTIVE_FAILURES}
    return len((await session.execute(_FORGET, values)).all())
