"""Identities elsewhere that open accounts here. Whoever writes has locked the account's row first."""

from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.user import AuthIdentity

EMAIL: Final = "auth_identities.email_ct"
REFRESH_TOKEN: Final = "auth_identities.refresh_token_ct"  # noqa: S105 - a column
_WAYS_IN = text(
    """SELECT (u.password_hash IS NOT NULL)::int
              + (SELECT count(*) FROM auth_identities i WHERE i.user_id = u.id)
              + (SELECT count(*) FROM webauthn_credentials w WHERE w.user_id = u.id)
         FROM users u WHERE u.id = :user_id"""
)


async def owner(session: AsyncSession, issuer: str, subject: str) -> UUID | None:
    """Whose account it opens."""
    query = select(col(AuthIdentity.user_id)).where(*_named(issuer, subject))
    return (await session.scalars(query)).one_or_none()


async def find(session: AsyncSession, issuer: str, subject: str) -> AuthIdentity | None:
    """The row."""
    return (await session.scalars(select(AuthIdentity).where(*_named(issuer, subject)))).one_or_none()


async def add(session: AsyncSession, identity: AuthIdentity) -> bool:
    """Insert; False when another request was quicker with the same identity."""
    row = insert(AuthIdentity).values(identity.model_dump(exclude={"created_at"}))
    added = row.on_conflict_do_nothing(index_elements=["issuer", "subject"]).returning(col(AuthIdentity.id))
    return (await session.scalars(added)).one_or_none() is not None


async def used(session: AsyncSession, identity_id: UUID, refresh_token_ct: str | None) -> None:
    """It was signed in with; a newer refresh token takes the place of the one before."""
    values = {"last_used_at": func.clock_timestamp()}
    if refresh_token_ct is not None:
        values["refresh_token_ct"] = refresh_token_ct  # type: ignore[assignment]
    statement = update(AuthIdentity).where(col(AuthIdentity.id) == identity_id).values(values)
    await session.execute(statement, execution_options={"synchronize_session": False})


async def forget_refresh_token(session: AsyncSession, identity_id: UUID) -> None:
    """The provider does not take it any more."""
    statement = update(AuthIdentity).where(col(AuthIdentity.id) == identity_id).values(refresh_token_ct=None)
    await session.execute(statement, execution_options={"synchronize_session": False})


async def of_user(session: AsyncSession, user_id: UUID) -> list[AuthIdentity]:
    """A person's identities, in the order in which they were linked."""
    query = select(AuthIdentity).where(col(AuthIdentity.user_id) == user_id).order_by(col(AuthIdentity.id))
    return list((await session.scalars(query)).all())


async def remove(session: AsyncSession, identity_id: UUID) -> None:
    """It opens nothing any more."""
    await session.execute(
        delete(AuthIdentity).where(col(AuthIdentity.id) == identity_id),
        execution_options={"synchronize_session": False},
    )


async def ways_in(session: AsyncSession, user_id: UUID) -> int:
    """How many things open the account now: its password, passkeys and identities elsewhere."""
    return int((await session.execute(_WAYS_IN, {"user_id": user_id})).scalar_one())


def _named(issuer: str, subject: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(AuthIdentity.issuer) == issuer, col(AuthIdentity.subject) == subject
