"""Accounts: what signing in reads, and the rows that registration and the profile change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.read_pool import ReadPool
from domain.mfa import Method, has_second_factor
from models.queries.mfa import METHODS
from models.session import MailToken, MailTokenKind
from models.user import User, UserState

_CREDENTIALS = f"""
    SELECT u.id, u.email_bidx, u.state, u.email_verified_at IS NOT NULL AS verified, u.token_epoch, u.password_hash,
           {METHODS} AS methods
      FROM users u WHERE """  # noqa: S608 - our own words
_BY_ADDRESS = f"{_CREDENTIALS} u.email_bidx = $1"
_BY_ID = f"{_CREDENTIALS} u.id = $1"
_BY_PASSKEY = f"{_CREDENTIALS} u.id = (SELECT w.user_id FROM webauthn_credentials w WHERE w.credential_id = $1)"  # noqa: S608
# As it stands once others are done: who waited for the lock is judged by what they left behind.
_MAILED_TO = """
    SELECT u.id FROM mail_tokens t JOIN users u ON u.id = t.user_id AND u.email_bidx = t.address_bidx
     WHERE t.hash = $1 AND t.kind = $2 AND t.used_at IS NULL AND t.voided_at IS NULL
       AND t.expires_at > clock_timestamp()"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signing in needs to know of an account."""

    user_id: UUID
    email_bidx: bytes
    state: UserState
    verified: bool
    epoch: int
    password_hash: str | None
    methods: tuple[Method, ...]
    """What a second factor can be proven with; confirmed ones only."""

    @property
    def has_second_factor(self) -> bool:
        """Whether the password, or another account elsewhere, is only half of signing in."""
        return has_second_factor(self.methods)

    @property
    def may_sign_in(self) -> bool:
        """Active, and the address was shown to be theirs."""
        return self.verified and self.state == UserState.ACTIVE


async def first_name(session: AsyncSession, user_id: UUID) -> str | None:
    """Sealed, if they gave one."""
    found: str | None = await session.scalar(select(col(User.first_name_ct)).where(col(User.id) == user_id))
    return found


async def credentials_by_address(reads: ReadPool, email_bidx: bytes) -> Credentials | None:
    """The account of an address."""
    return _credentials(await reads.fetchrow(_BY_ADDRESS, email_bidx))


async def credentials_by_id(reads: ReadPool, user_id: UUID) -> Credentials | None:
    """The account of a signed-in person."""
    return _credentials(await reads.fetchrow(_BY_ID, user_id))


async def is_staff(reads: ReadPool, user_id: UUID) -> bool:
    """Whether this person operates the platform."""
    return await reads.fetchval("SELECT is_staff FROM users WHERE id = $1 AND state = 'active'", user_id) is True


async def credentials_by_passkey(reads: ReadPool, credential_id: bytes) -> Credentials | None:
    """The account that a passkey opens."""
    return _credentials(await reads.fetchrow(_BY_PASSKEY, credential_id))


async def add(session: AsyncSession, user: User) -> bool:
    """Insert a new account; False when another request was quicker with the same address."""
    values = user.model_dump(exclude={"created_at", "updated_at"})
    row = insert(User).values(values).on_conflict_do_nothing(index_elements=["email_bidx"])
    return (await session.scalars(row.returning(col(User.id)))).one_or_none() is not None


async def lock(session: AsyncSession, user_id: UUID) -> User | None:
    """The account, locked."""
    return await _locked(session, select(User).where(col(User.id) == user_id))


async def lock_by_address(session: AsyncSession, email_bidx: bytes) -> User | None:
    """The account of an address, locked."""
    return await _locked(session, select(User).where(col(User.email_bidx) == email_bidx))


async def id_by_address(session: AsyncSession, email_bidx: bytes) -> UUID | None:
    """Whose address it is."""
    return (await session.scalars(select(col(User.id)).where(col(User.email_bidx) == email_bidx))).one_or_none()


async def find(reads: ReadPool, user_id: UUID) -> Mapping[str, Any] | None:
    """The columns of the account."""
    row: asyncpg.Record | None = await reads.fetchrow("SELECT * FROM users WHERE id = $1", user_id)
    return dict(row) if row else None


async def rehash_password(session: AsyncSession, user_id: UUID, *, outdated: str, fresh: str) -> None:
    """The same password under newer parameters, unless it was changed meanwhile."""
    await session.execute(
        update(User)
        .where(col(User.id) == user_id, col(User.password_hash) == outdated)
        .values(password_hash=fresh)
        .execution_options(synchronize_session=False)
    )


async def mail_token_owner(reads: ReadPool, token_hash: bytes, kind: MailTokenKind) -> UUID | None:
    """Whose mailed token this is, if it is good; it stays unspent."""
    found: UUID | None = await reads.fetchval(_MAILED_TO, token_hash, kind)
    return found


async def use_mail_token(session: AsyncSession, token_hash: bytes, kind: MailTokenKind) -> User | None:
    """Spend a mailed token: its user, locked, if the token was good for this and still theirs; else None.

    Good means of this kind, not used, not voided, not expired, and mailed to the address the account still has.
    """
    found = await spend_mail_token(session, token_hash, kind)
    return found[0] if found is not None and found[0].email_bidx == found[1] else None


async def spend_mail_token(session: AsyncSession, token_hash: bytes, kind: MailTokenKind) -> tuple[User, bytes] | None:
    """Spend a mailed token wherever it was mailed to: its user, locked, and the blind index of that address.

    The account is locked before its tokens, as by everybody else.
    """
    owner = select(col(MailToken.user_id)).where(col(MailToken.hash) == token_hash, col(MailToken.kind) == kind)
    user = await _locked(session, select(User).where(col(User.id) == owner.scalar_subquery()))
    spent = (
        update(MailToken)
        .where(
            col(MailToken.hash) == token_hash,
            col(MailToken.kind) == kind,
            col(MailToken.used_at).is_(None),
            col(MailToken.voided_at).is_(None),
            col(MailToken.expires_at) > func.clock_timestamp(),
        )
        .values(used_at=func.clock_timestamp())
        .returning(col(MailToken.address_bidx))
        .execution_options(synchronize_session=False)
    )
    address_bidx: bytes | None = (await session.scalars(spent)).one_or_none()
    return (user, address_bidx) if user is not None and address_bidx is not None else None


async def _locked(session: AsyncSession, query: Select[User]) -> User | None:
    # FOR NO KEY UPDATE: rows that refer to the account can be inserted meanwhile, and nobody deadlocks over that.
    return (await session.scalars(query.with_for_update(key_share=True))).one_or_none()


def _credentials(row: asyncpg.Record | None) -> Credentials | None:
    if row is None:
        return None
    return Credentials(
        user_id=row["id"],
        email_bidx=row["email_bidx"],
        state=UserState(row["state"]),
        verified=row["verified"],
        epoch=row["token_epoch"],
        password_hash=row["password_hash"],
        methods=tuple(map(Method, row["methods"])),
    )
