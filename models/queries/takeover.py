"""Everything that opens an account whose address nobody confirmed, gone: whoever set it up may not be its owner."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_DROP: Final = (
    "DELETE FROM auth_identities WHERE user_id = :user_id",
    "DELETE FROM mfa_totp WHERE user_id = :user_id",
    "DELETE FROM mfa_recovery_codes WHERE user_id = :user_id",
    "DELETE FROM webauthn_credentials WHERE user_id = :user_id",
    "DELETE FROM device_cookies WHERE user_id = :user_id",
    "DELETE FROM auth_challenges WHERE user_id = :user_id",
    "UPDATE mail_tokens SET voided_at = clock_timestamp() "
    "WHERE user_id = :user_id AND used_at IS NULL AND voided_at IS NULL",
    "UPDATE email_changes SET dropped_at = clock_timestamp() "
    "WHERE user_id = :user_id AND confirmed_at IS NULL AND dropped_at IS NULL",
)


async def drop_credentials(session: AsyncSession, user_id: UUID) -> None:
    """Second factors, passkeys, identities elsewhere, mailed tokens. The account is locked; its password is a column of
    the row that the caller holds, its sessions are ended with `sessions.revoke_all`."""
    for statement in _DROP:
        await session.execute(text(statement), {"user_id": user_id})
