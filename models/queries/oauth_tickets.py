"""Steps of a sign-in that wait for a browser or an app: rows of `auth_challenges`, each taken once."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.mfa import AuthChallenge, ChallengeKind
from models.queries.clock import database_now

_SWEPT = 100


async def add(
    session: AsyncSession,
    id_hash: bytes,
    payload_ct: str,
    lifetime: timedelta,
    *,
    user_id: UUID | None = None,
    browser_hash: bytes | None = None,
) -> None:
    """A new one. Some that nobody came back for are swept out with it."""
    old = select(col(AuthChallenge.id_hash)).where(
        col(AuthChallenge.kind) == ChallengeKind.OAUTH, col(AuthChallenge.expires_at) < func.clock_timestamp()
    )
    old = old.limit(_SWEPT).with_for_update(skip_locked=True)
    await session.execute(
        delete(AuthChallenge).where(col(AuthChallenge.id_hash).in_(old)),
        execution_options={"synchronize_session": False},
    )
    session.add(
        AuthChallenge(
            id_hash=id_hash,
            kind=ChallengeKind.OAUTH,
            user_id=user_id,
            browser_hash=browser_hash,
            payload_ct=payload_ct,
            expires_at=await database_now(session) + lifetime,
        )
    )


async def take(session: AsyncSession, id_hash: bytes, browser_hash: bytes | None) -> str | None:
    """The sealed payload, once; None when it is unknown, used, too old, or was begun in another browser."""
    statement = (
        update(AuthChallenge)
        .where(
            col(AuthChallenge.id_hash) == id_hash,
            col(AuthChallenge.kind) == ChallengeKind.OAUTH,
            col(AuthChallenge.browser_hash).is_not_distinct_from(browser_hash),
            col(AuthChallenge.used_at).is_(None),
            col(AuthChallenge.expires_at) > func.clock_timestamp(),
        )
        .values(used_at=func.clock_timestamp())
        .returning(col(AuthChallenge.payload_ct))
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(statement)).one_or_none()
