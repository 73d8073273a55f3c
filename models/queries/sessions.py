"""Device sessions and their refresh chains. Whoever changes a session holds its row lock (§4.1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Update, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.read_pool import ReadPool
from models.session import RetiredRefresh, Session
from models.user import User, UserState

_LIVE_OF_USER = """
    SELECT true FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL
       AND s.epoch = u.token_epoch AND u.state = 'active'"""

_PROVED = "SELECT true FROM sessions WHERE id = $1 AND auth_time >= clock_timestamp() - $2::interval"

# Not clock_timestamp(): a volatile function cannot bound an index.
_ENDED_LATELY = "SELECT id FROM sessions WHERE revoked_at > statement_timestamp() - $1::interval"
_FORGET_REPLAYS = text(
    """UPDATE sessions SET replay_ct = NULL WHERE id IN (
         SELECT id FROM sessions
          WHERE replay_ct IS NOT NULL AND rotated_at < statement_timestamp() - interval '1 minute'
          ORDER BY rotated_at LIMIT :page FOR UPDATE SKIP LOCKED)
       RETURNING id"""
)
_FORGET_RETIRED = text(
    """DELETE FROM retired_refresh WHERE hash IN (
         SELECT hash FROM retired_refresh WHERE retired_at < statement_timestamp() - CAST(:age AS interval) LIMIT :page)
       RETURNING hash"""
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A session's user, read after the session was locked, and the database clock of that moment."""

    active: bool
    epoch: int
    now: datetime


async def is_live(reads: ReadPool, session_id: UUID, user_id: UUID) -> bool:
    """Whether this session of this user still counts: not revoked, of the current epoch, its user active."""
    return await reads.fetchval(_LIVE_OF_USER, session_id, user_id) is True


async def ended_lately(reads: ReadPool, seconds: float) -> list[UUID]:
    """Sessions that were revoked within so many seconds."""
    return [row["id"] for row in await reads.fetch(_ENDED_LATELY, timedelta(seconds=seconds))]


async def lock_by_token(session: AsyncSession, token_hash: bytes) -> Session | None:
    """The session whose refresh token this is or once was, locked.

    Needs READ COMMITTED: who waited for the lock sees the row as the winner left it, and its condition anew.
    """
    query = select(Session).where(or_(col(Session.rt_hash) == token_hash, col(Session.prev_hash) == token_hash))
    row = (await session.scalars(query.with_for_update())).one_or_none()
    if row is not None:
        return row
    retired = select(col(RetiredRefresh.session_id)).where(col(RetiredRefresh.hash) == token_hash).scalar_subquery()
    return (await session.scalars(_by_id(retired).with_for_update())).one_or_none()


async def lock(session: AsyncSession, session_id: UUID) -> Session | None:
    """The session, locked."""
    return (await session.scalars(_by_id(session_id).with_for_update())).one_or_none()


async def lock_live(session: AsyncSession, session_id: UUID, user: User) -> Session | None:
    """The session of a locked account, locked as well; None where it has ended or its time is over."""
    mine = _by_id(session_id).where(col(Session.user_id) == user.id, _is_live(user.token_epoch))
    return (await session.scalars(mine.with_for_update(key_share=True))).one_or_none()


async def proved_within(reads: ReadPool, session_id: UUID, age: timedelta) -> bool:
    """Whether its bearer proved who they are so lately; the row may say earlier than a token of theirs does."""
    return await reads.fetchval(_PROVED, session_id, age) is True


async def standing(session: AsyncSession, user_id: UUID) -> Standing:
    """A second statement after the lock: a joined row would come from the snapshot taken before the wait."""
    query = select(col(User.state), col(User.token_epoch), func.clock_timestamp()).where(col(User.id) == user_id)
    state, epoch, now = (await session.execute(query)).one()
    return Standing(state == UserState.ACTIVE, epoch, now)


async def retire(session: AsyncSession, token_hash: bytes, session_id: UUID, now: datetime) -> None:
    """Remember a token that is older than the parent: seeing it again means it was stolen."""
    row = insert(RetiredRefresh).values(hash=token_hash, session_id=session_id, retired_at=now)
    await session.execute(row.on_conflict_do_nothing())


async def revoke(session: AsyncSession, session_id: UUID, reason: str) -> bool:
    """End one session; False when it had ended. Takes the row lock by itself."""
    ended = await session.execute(_revoke(reason).where(col(Session.id) == session_id).returning(col(Session.id)))
    return ended.scalar_one_or_none() is not None


async def revoke_others(session: AsyncSession, user_id: UUID, keep: UUID | None, reason: str) -> list[UUID]:
    """End every session of a user but one, and those a login racing with this is about to insert. Answers which
    ended."""
    epoch = await _next_epoch(session, user_id)
    mine = and_(col(Session.user_id) == user_id, col(Session.id) != keep)
    ended = list((await session.execute(_revoke(reason).where(mine).returning(col(Session.id)))).scalars())
    # `keep` lives on in the new epoch only if it lived in the former.
    kept = and_(col(Session.id) == keep, col(Session.user_id) == user_id, col(Session.epoch) == epoch - 1)
    await session.execute(
        update(Session).where(kept).values(epoch=epoch), execution_options={"synchronize_session": False}
    )
    return ended


async def revoke_all(session: AsyncSession, user_id: UUID, reason: str) -> list[UUID]:
    """End every session of a user, and with the epoch those a login racing with this is about to insert."""
    await _next_epoch(session, user_id)
    ended = _revoke(reason).where(col(Session.user_id) == user_id).returning(col(Session.id))
    return list((await session.execute(ended)).scalars())


async def live_sessions(session: AsyncSession, user_id: UUID) -> list[Session]:
    """A user's devices, the one seen last first."""
    query = (
        select(Session)
        .join(User, col(User.id) == col(Session.user_id))
        .where(col(Session.user_id) == user_id, _is_live(col(User.token_epoch)))
        .order_by(col(Session.last_seen).desc())
    )
    return list((await session.execute(query)).scalars())


async def forget_replays(session: AsyncSession, page: int) -> int:
    """Drop answers that may not be asked for again (the window is half a minute at most). Answers how many."""
    return len((await session.execute(_FORGET_REPLAYS, {"page": page})).all())


async def forget_retired(session: AsyncSession, page: int, age: timedelta) -> int:
    """Drop former tokens of sessions that have ended for good: no session lasts `age`. Answers how many."""
    return len((await session.execute(_FORGET_RETIRED, {"page": page, "age": age})).all())


async def _next_epoch(session: AsyncSession, user_id: UUID) -> int:
    mine = update(User).where(col(User.id) == user_id).values(token_epoch=col(User.token_epoch) + 1)
    moved = mine.returning(col(User.token_epoch)).execution_options(synchronize_session=False)
    return (await session.execute(moved)).scalar_one()


def _is_live(epoch: object) -> ColumnElement[bool]:
    end = func.least(col(Session.idle_expires_at), col(Session.absolute_expires_at))
    return and_(col(Session.revoked_at).is_(None), col(Session.epoch) == epoch, end > func.clock_timestamp())


def _by_id(session_id: object) -> Select[Session]:
    return select(Session).where(col(Session.id) == session_id)


def _revoke(reason: str) -> Update:
    return (
        update(Session)
        .where(col(Session.revoked_at).is_(None))
        .values(revoked_at=func.clock_timestamp(), revoke_reason=reason)
        .execution_options(synchronize_session=False)
    )
