"""Devices on which an account was fully signed in to. Whoever touches one holds the row of `login_throttle` of its
account (`throttle.charge_attempt`, `throttle.forgive`), so nobody waits for each other crosswise."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.auth import DEVICE_FAILURES
from models.session import DeviceCookie

DEVICES: Final = 20
"""Per account; the oldest makes room."""

# Replaced at every login: who holds a copy of the former cookie has it no more.
_REMEMBER = text(
    """WITH gone AS (
           DELETE FROM device_cookies
            WHERE user_id = :user_id
              AND (id_hash = :former OR expires_at <= clock_timestamp()
                   OR id_hash IN (SELECT id_hash FROM device_cookies WHERE user_id = :user_id
                                   ORDER BY created_at DESC OFFSET :others)))
       INSERT INTO device_cookies (id_hash, user_id, fails, expires_at)
       VALUES (:id_hash, :user_id, 0, clock_timestamp() + :lifetime)"""
)


async def charge(session: AsyncSession, id_hash: bytes, user_id: UUID | None) -> bool:
    """Count one attempt from this device as failed. False: it is no known device of this account, or no longer."""
    charged = (
        update(DeviceCookie)
        .where(
            col(DeviceCookie.id_hash) == id_hash,
            col(DeviceCookie.user_id) == user_id,
            col(DeviceCookie.fails) < DEVICE_FAILURES,
            col(DeviceCookie.expires_at) > func.clock_timestamp(),
        )
        .values(fails=col(DeviceCookie.fails) + 1)
        .returning(col(DeviceCookie.fails))
        .execution_options(synchronize_session=False)
    )
    return (await session.execute(charged)).first() is not None


async def remember(
    session: AsyncSession, id_hash: bytes, user_id: UUID, lifetime: timedelta, *, former: bytes | None
) -> None:
    """From now on a known device, in place of the cookie it came with."""
    values = {"id_hash": id_hash, "user_id": user_id, "lifetime": lifetime, "former": former, "others": DEVICES - 1}
    await session.execute(_REMEMBER, values)


async def forget_all(session: AsyncSession, user_id: UUID) -> None:
    """No device is known any more."""
    await session.execute(delete(DeviceCookie).where(col(DeviceCookie.user_id) == user_id))
