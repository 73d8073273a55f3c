"""Accounts that move to another address: asked for by somebody signed in, confirmed from the new mailbox."""

from uuid import UUID

from sqlalchemy import and_, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.queries.clock import database_now
from models.queries.passwords import drop_email_change
from models.session import Session
from models.user import EmailChange, User


def confirmation_key(change_id: UUID) -> str:
    """The event of the mail that asks to confirm it."""
    return f"email_change/{change_id}/confirm"


async def ask(session: AsyncSession, change: EmailChange) -> None:
    """From now on the account's only open change. The account is locked."""
    await drop_email_change(session, change.user_id)
    session.add(change)
    await session.flush()


async def open_change(session: AsyncSession, user_id: UUID) -> EmailChange | None:
    """The one that waits for its owner's word. It ends with the session that asked: whoever finds a stranger among
    their devices and signs them out has taken back what they began."""
    query = (
        select(EmailChange)
        .join(Session, col(Session.id) == col(EmailChange.session_id))
        .join(User, and_(col(User.id) == col(EmailChange.user_id), col(User.token_epoch) == col(Session.epoch)))
        .where(
            col(EmailChange.user_id) == user_id,
            col(EmailChange.confirmed_at).is_(None),
            col(EmailChange.dropped_at).is_(None),
            col(Session.revoked_at).is_(None),
        )
    )
    return (await session.scalars(query)).one_or_none()


async def carry_out(session: AsyncSession, user: User, change: EmailChange, email_ct: str) -> bool:
    """Give the locked account the new address, with its ciphertext under the account's row. False, and nothing
    changed, where another account was quicker."""
    now = await database_now(session)
    try:
        async with session.begin_nested():
            user.email_ct, user.email_bidx, user.email_verified_at = email_ct, change.address_bidx, now
            user.version, user.updated_at = user.version + 1, now
            change.confirmed_at = now
            await session.flush()
    except IntegrityError:
        return False
    return True


async def require_proof(session: AsyncSession, session_id: UUID) -> None:
    """The session goes on, and what it proved counts no more: for anything sensitive it has to prove it anew."""
    await session.execute(
        update(Session)
        .where(col(Session.id) == session_id)
        .values(auth_time=func.to_timestamp(0))
        .execution_options(synchronize_session=False)
    )
