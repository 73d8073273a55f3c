"""Second factors of an account. Whoever adds, removes or replaces one holds the lock of the user's row."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.read_pool import ReadPool
from domain.mfa import Method
from models.mfa import RecoveryCode

METHODS = """ARRAY(
    SELECT 'totp' FROM mfa_totp t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL
     UNION ALL SELECT 'passkey' WHERE EXISTS (SELECT FROM webauthn_credentials w WHERE w.user_id = u.id)
     UNION ALL SELECT 'recovery_code' WHERE EXISTS (
         SELECT FROM mfa_recovery_codes c WHERE c.user_id = u.id AND c.used_at IS NULL AND c.voided_at IS NULL))"""
"""What the user `u` can prove a second factor with: an expression, so that signing in stays at one statement."""

_METHODS = text(f"SELECT {METHODS} FROM users u WHERE u.id = :user_id")  # noqa: S608 - our own words
_OVERVIEW = """
    SELECT (SELECT t.confirmed_at FROM mfa_totp t WHERE t.user_id = $1) AS totp_confirmed_at,
           (SELECT count(*) FROM webauthn_credentials w WHERE w.user_id = $1) AS passkeys,
           (SELECT count(*) FROM mfa_recovery_codes c
             WHERE c.user_id = $1 AND c.used_at IS NULL AND c.voided_at IS NULL) AS recovery_codes_left"""
_TOTP = text("SELECT secret_ct, confirmed_at, clock_timestamp() AS now FROM mfa_totp WHERE user_id = :user_id")
_ENROL = text(
    """INSERT INTO mfa_totp (user_id, secret_ct) VALUES (:user_id, :secret_ct)
       ON CONFLICT (user_id) DO UPDATE SET secret_ct = EXCLUDED.secret_ct, created_at = clock_timestamp()
        WHERE mfa_totp.confirmed_at IS NULL
       RETURNING user_id"""
)
_CONFIRM = text("UPDATE mfa_totp SET confirmed_at = clock_timestamp(), last_step = :step WHERE user_id = :user_id")
_SPEND_STEP = text(
    """UPDATE mfa_totp SET last_step = :step
        WHERE user_id = :user_id AND confirmed_at IS NOT NULL AND last_step < :step RETURNING user_id"""
)
_REMOVE = text("DELETE FROM mfa_totp WHERE user_id = :user_id")
_VOID_CODES = text(
    """UPDATE mfa_recovery_codes SET voided_at = clock_timestamp()
        WHERE user_id = :user_id AND used_at IS NULL AND voided_at IS NULL"""
)
_SPEND_CODE = text(
    """UPDATE mfa_recovery_codes SET used_at = clock_timestamp()
        WHERE user_id = :user_id AND code_hmac = :code_hmac AND used_at IS NULL AND voided_at IS NULL RETURNING id"""
)
_CODES_LEFT = text(
    """SELECT count(*) FROM mfa_recovery_codes
        WHERE user_id = :user_id AND used_at IS NULL AND voided_at IS NULL"""
)


@dataclass(frozen=True, slots=True)
class Overview:
    """What protects an account beside its password."""

    totp_confirmed_at: datetime | None
    passkeys: int
    recovery_codes_left: int


@dataclass(frozen=True, slots=True)
class TotpSecret:
    """The sealed secret, whether it counts yet, and the database clock that its codes are compared by."""

    secret_ct: str
    confirmed: bool
    now: datetime


async def overview(reads: ReadPool, user_id: UUID) -> Overview:
    """For the person's own eyes."""
    (row,) = await reads.fetch(_OVERVIEW, user_id)
    return Overview(**dict(row))


async def methods(session: AsyncSession, user_id: UUID) -> list[Method]:
    """What this person can prove a second factor with."""
    return [Method(word) for word in (await session.execute(_METHODS, {"user_id": user_id})).scalar_one()]


async def totp(session: AsyncSession, user_id: UUID) -> TotpSecret | None:
    """The authenticator app of an account, enrolled or just begun."""
    row = (await session.execute(_TOTP, {"user_id": user_id})).one_or_none()
    return TotpSecret(row.secret_ct, row.confirmed_at is not None, row.now) if row else None


async def enrol_totp(session: AsyncSession, user_id: UUID, secret_ct: str) -> bool:
    """Keep a secret that does not count yet, in place of a former one of that kind; False where one counts already."""
    return (await session.execute(_ENROL, {"user_id": user_id, "secret_ct": secret_ct})).one_or_none() is not None


async def confirm_totp(session: AsyncSession, user_id: UUID, step: int) -> None:
    """From now on it counts; the code it was confirmed with is used up."""
    await session.execute(_CONFIRM, {"user_id": user_id, "step": step})


async def spend_step(session: AsyncSession, user_id: UUID, step: int) -> bool:
    """Accept a time step; False when it, or a later one, was accepted before (I4)."""
    return (await session.execute(_SPEND_STEP, {"user_id": user_id, "step": step})).one_or_none() is not None


async def remove_totp(session: AsyncSession, user_id: UUID) -> None:
    """Forget the secret."""
    await session.execute(_REMOVE, {"user_id": user_id})


async def replace_recovery_codes(session: AsyncSession, user_id: UUID, macs: Iterable[bytes]) -> None:
    """A new batch; what is left of the former one is void."""
    await void_recovery_codes(session, user_id)
    batch = new_id()
    session.add_all(RecoveryCode(user_id=user_id, batch=batch, code_hmac=mac) for mac in macs)
    await session.flush()


async def void_recovery_codes(session: AsyncSession, user_id: UUID) -> None:
    """None of them counts any more."""
    await session.execute(_VOID_CODES, {"user_id": user_id})


async def spend_recovery_code(session: AsyncSession, user_id: UUID, code_hmac: bytes) -> UUID | None:
    """Accept a code, once: its id, or None."""
    return (await session.execute(_SPEND_CODE, {"user_id": user_id, "code_hmac": code_hmac})).scalar_one_or_none()


async def recovery_codes_left(session: AsyncSession, user_id: UUID) -> int:
    """How many still count."""
    return int((await session.execute(_CODES_LEFT, {"user_id": user_id})).scalar_one())
