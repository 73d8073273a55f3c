"""WebAuthn credentials. Whoever adds or removes one holds the lock of the user's row."""

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.mfa import Passkey


async def of_user(session: AsyncSession, user_id: UUID) -> list[Passkey]:
    """A person's passkeys, the first one first."""
    query = select(Passkey).where(col(Passkey.user_id) == user_id).order_by(col(Passkey.id))
    return list((await session.scalars(query)).all())


async def lock_by_credential(session: AsyncSession, user_id: UUID, credential_id: bytes) -> Passkey | None:
    """This person's passkey of a credential, locked."""
    mine = (col(Passkey.credential_id) == credential_id, col(Passkey.user_id) == user_id)
    return (await session.scalars(select(Passkey).where(*mine).with_for_update())).one_or_none()


async def lock(session: AsyncSession, user_id: UUID, passkey_id: UUID) -> Passkey | None:
    """One of a person's passkeys, locked."""
    mine = (col(Passkey.id) == passkey_id, col(Passkey.user_id) == user_id)
    return (await session.scalars(select(Passkey).where(*mine).with_for_update())).one_or_none()


async def add(session: AsyncSession, passkey: Passkey) -> Passkey | None:
    """Keep a new passkey; None when the credential is known already, whosever it is."""
    row = insert(Passkey).values(passkey.model_dump(exclude={"created_at"}))
    row = row.on_conflict_do_nothing(index_elements=["credential_id"])
    return (await session.scalars(row.returning(Passkey))).one_or_none()


async def remove(session: AsyncSession, passkey: Passkey) -> None:
    """Forget it."""
    await session.execute(delete(Passkey).where(col(Passkey.id) == passkey.id))
