"""Invitations: offers to join a household. The household's row is locked before one is changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.db import Database, raw_connection
from models.household import Invitation, InvitationState

# One that has run out is shown as such, also while its workflow has not closed it yet.
_INVITATION = """
SELECT i.id, i.household_id, i.invited_by, i.email_ct, i.role, i.mailing, i.mailed, i.mail_problem, i.expires_at,
       i.created_at, i.updated_at, i.version,
       CASE WHEN i.state = 'open' AND i.expires_at <= statement_timestamp() THEN 'expired' ELSE i.state END AS state
  FROM invitations i WHERE """
_ONE = _INVITATION + "i.id = $1"
_PAGE = _INVITATION + "i.household_id = $1 AND ($2::uuid IS NULL OR i.id < $2) ORDER BY i.id DESC LIMIT $3"
_IS_MEMBER = text(
    """SELECT EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id
                       WHERE m.household_id = :household_id AND m.left_at IS NULL AND u.email_bidx = :email_bidx)"""
)
_WORDS = text(
    """SELECT h.name_ct, u.id AS inviter_id, u.first_name_ct, u.timezone,
              EXISTS (SELECT FROM mail_suppressions m WHERE m.address_hmac = i.email_bidx) AS suppressed
         FROM invitations i JOIN households h ON h.id = i.household_id JOIN users u ON u.id = i.invited_by
        WHERE i.id = :id"""
)


@dataclass(frozen=True, slots=True)
class MailWords:
    """What the mail is made of (sealed), and whether its address takes none."""

    household_name_ct: str | None
    inviter_id: UUID
    inviter_name_ct: str | None
    timezone: str
    suppressed: bool


async def page(db: Database, household_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """Of a household, the newest first, before an id."""
    return await db.reads.fetch(_PAGE, household_id, before, limit)


async def find_in(session: AsyncSession, invitation_id: UUID) -> asyncpg.Record:
    """One that was written or changed in this transaction."""
    await session.flush()
    return await (await raw_connection(session)).fetchrow(_ONE, invitation_id)


async def is_member(session: AsyncSession, household_id: UUID, email_bidx: bytes) -> bool:
    """Whether somebody with this address belongs to the household."""
    values = {"household_id": household_id, "email_bidx": email_bidx}
    return bool((await session.execute(_IS_MEMBER, values)).scalar_one())


async def open_ones(session: AsyncSession, household_id: UUID) -> Sequence[Invitation]:
    """Those of a household that can still be accepted."""
    query = select(Invitation).where(
        col(Invitation.household_id) == household_id,
        col(Invitation.state) == InvitationState.OPEN,
        col(Invitation.expires_at) > func.clock_timestamp(),
    )
    return (await session.scalars(query)).all()


async def close_expired(session: AsyncSession, household_id: UUID) -> None:
    """Close what has run out: its address may be invited anew."""
    await session.execute(
        update(Invitation)
        .where(
            col(Invitation.household_id) == household_id,
            col(Invitation.state) == InvitationState.OPEN,
            col(Invitation.expires_at) <= func.clock_timestamp(),
        )
        .values(state=InvitationState.EXPIRED, closed_at=func.clock_timestamp(), version=col(Invitation.version) + 1)
        .execution_options(synchronize_session=False)
    )


async def lock(session: AsyncSession, household_id: UUID, invitation_id: UUID) -> Invitation | None:
    """One of this household, locked; None for what it does not have."""
    query = select(Invitation).where(col(Invitation.id) == invitation_id, col(Invitation.household_id) == household_id)
    return (await session.scalars(query.with_for_update())).one_or_none()


async def lock_by_id(session: AsyncSession, invitation_id: UUID) -> Invitation | None:
    """One of any household, for its workflow."""
    query = select(Invitation).where(col(Invitation.id) == invitation_id)
    return (await session.scalars(query.with_for_update())).one_or_none()


async def household_of_token(session: AsyncSession, token_hash: bytes) -> UUID | None:
    """Which household the newest mail with this token invites to. It never changes, so it may be read before a lock."""
    query = select(col(Invitation.household_id)).where(col(Invitation.token_hash) == token_hash)
    return (await session.execute(query)).scalar_one_or_none()


async def lock_open(session: AsyncSession, token_hash: bytes, user_id: UUID) -> Invitation | None:
    """The open invitation of this token, if it was sent to the verified address of this person. The household is
    locked: whoever waited for it sees what became of the invitation meanwhile."""
    theirs = text("SELECT email_bidx FROM users WHERE id = :id AND email_verified_at IS NOT NULL AND state = 'active'")
    address = (await session.execute(theirs, {"id": user_id})).scalar_one_or_none()
    query = select(Invitation).where(
        col(Invitation.token_hash) == token_hash,
        col(Invitation.state) == InvitationState.OPEN,
        col(Invitation.expires_at) > func.clock_timestamp(),
        col(Invitation.email_bidx) == address,
    )
    return (await session.scalars(query.with_for_update())).one_or_none()


async def close(session: AsyncSession, invitation: Invitation, state: InvitationState, now: datetime) -> None:
    """Its last state. The token is good for nothing from now on."""
    invitation.state, invitation.closed_at, invitation.token_hash = state, now, None
    await touch(session, invitation, now)


async def touch(session: AsyncSession, invitation: Invitation, now: datetime) -> None:
    """Write what was changed, as a new version."""
    invitation.version += 1
    invitation.updated_at = now
    await session.flush()


async def mail_words(session: AsyncSession, invitation_id: UUID) -> MailWords:
    """What its mail says, as it stands when it leaves."""
    row = (await session.execute(_WORDS, {"id": invitation_id})).one()
    return MailWords(row.name_ct, row.inviter_id, row.first_name_ct, row.timezone, row.suppressed)
