"""What judging a person's password takes (who they are, what their pets are called), and changing it."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.read_pool import ReadPool
from domain.mfa import Method, has_second_factor
from models.queries.mfa import METHODS
from models.session import MailToken, MailTokenKind
from models.user import EmailChange, User

PETS: Final = 200
"""More names than that would make every password a contextual one."""

_OWNER = f"""
SELECT u.email_ct, u.first_name_ct, u.last_name_ct,
       {METHODS} AS methods,
       array(SELECT row(p.id, p.name_ct) FROM pets p
               JOIN memberships m ON m.household_id = p.household_id AND m.user_id = u.id AND m.left_at IS NULL
              WHERE p.deleted_at IS NULL ORDER BY p.id LIMIT {PETS}) AS pets
  FROM users u WHERE u.id = $1"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class PasswordOwner:
    """Ciphertexts of a person's names, and of their pets' by id. `second_factor`: a confirmed one."""

    email_ct: str
    first_name_ct: str | None
    last_name_ct: str | None
    second_factor: bool
    pets: tuple[tuple[UUID, str], ...]


async def owner(reads: ReadPool, user_id: UUID) -> PasswordOwner | None:
    """Whose password it is to be."""
    row: asyncpg.Record | None = await reads.fetchrow(_OWNER, user_id)
    if row is None:
        return None
    facts = dict(row)
    methods, pets = map(Method, facts.pop("methods")), map(tuple, facts.pop("pets"))
    return PasswordOwner(**facts, second_factor=has_second_factor(methods), pets=tuple(pets))


async def replace(session: AsyncSession, user: User, password_hash: str, *, enough_alone: bool) -> None:
    """A new password for a locked account. What the old one could have set in motion is void: mailed links that set
    another, and a move to another address."""
    user.password_hash, user.password_single_factor_ok = password_hash, enough_alone
    await session.flush()
    await void_tokens(session, user.id, MailTokenKind.RESET, MailTokenKind.CHANGE)
    await drop_email_change(session, user.id)


async def void_tokens(session: AsyncSession, user_id: UUID, *kinds: MailTokenKind) -> None:
    """Unused mailed tokens of these kinds are good for nothing any more."""
    await session.execute(
        update(MailToken)
        .where(
            col(MailToken.user_id) == user_id,
            col(MailToken.kind).in_(kinds),
            col(MailToken.used_at).is_(None),
            col(MailToken.voided_at).is_(None),
        )
        .values(voided_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )


async def drop_email_change(session: AsyncSession, user_id: UUID) -> None:
    """The open one, if there is one."""
    await session.execute(
        update(EmailChange)
        .where(
            col(EmailChange.user_id) == user_id,
            col(EmailChange.confirmed_at).is_(None),
            col(EmailChange.dropped_at).is_(None),
        )
        .values(dropped_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )
