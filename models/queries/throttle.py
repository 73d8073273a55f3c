"""Failures per account: counted before a password is looked at, and in Postgres, so that losing Redis opens nothing."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.auth import Attempts, Wait, charge
from models.queries import device_cookies
from models.queries.clock import database_now
from models.session import LoginThrottle


async def charge_attempt(
    session: AsyncSession, key: bytes, *, device: bytes | None = None, user_id: UUID | None = None
) -> Wait | None:
    """Count one attempt as failed until `forgive` says otherwise. A `Wait` means: refuse, nothing was counted.

    The row stays locked until the caller commits, so parallel attempts are counted one after the other. `device` is the
    hash of a device cookie; one of this user's does not wait, and is counted by itself.
    """
    row = await _locked(session, key)
    known = device is not None and await device_cookies.charge(session, device, user_id)
    now = await database_now(session)
    attempts = Attempts(row.fails, row.consecutive, row.next_allowed_at, row.last_fail_at)
    verdict = charge(attempts, now=now, known_device=known)
    if isinstance(verdict, Wait):
        return verdict
    row.fails, row.consecutive = verdict.fails, verdict.consecutive
    row.next_allowed_at, row.last_fail_at = verdict.next_allowed_at, verdict.last_fail_at
    return None


async def forgive(session: AsyncSession, key: bytes) -> None:
    """All that was asked for was right, or a new password was set: nothing is held against the account any more."""
    await session.execute(
        update(LoginThrottle)
        .where(col(LoginThrottle.key) == key)
        .values(fails=0, consecutive=0, next_allowed_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )


async def undo(session: AsyncSession, key: bytes) -> None:
    """Take back the charge of one attempt that was right and is not all that is asked for: what failed before stays
    counted. Else whoever knows the password would wipe out, by sending it again, what their guesses at codes cost."""
    await session.execute(
        update(LoginThrottle)
        .where(col(LoginThrottle.key) == key)
        .values(
            fails=func.greatest(col(LoginThrottle.fails) - 1, 0),
            consecutive=func.greatest(col(LoginThrottle.consecutive) - 1, 0),
            next_allowed_at=func.clock_timestamp(),
        )
        .execution_options(synchronize_session=False)
    )


async def _locked(session: AsyncSession, key: bytes) -> LoginThrottle:
    start = datetime.fromtimestamp(0, UTC)
    row = insert(LoginThrottle).values(key=key, fails=0, consecutive=0, next_allowed_at=start, last_fail_at=start)
    # The update that changes nothing locks and returns the row, whoever inserted it.
    upsert = row.on_conflict_do_update(index_elements=["key"], set_={"key": row.excluded.key})
    return (await session.scalars(upsert.returning(LoginThrottle))).one()
