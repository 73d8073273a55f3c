"""Second factors: codes from an app, codes on paper, passkeys; and the challenges that wait for one."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.base import Identified, timestamptz, words


class Totp(SQLModel, table=True):
    """The secret of an authenticator app. `last_step` is the time step accepted last: each counts once (I4)."""

    __tablename__ = "mfa_totp"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True)
    secret_ct: str = words()
    created_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    confirmed_at: datetime | None = timestamptz(default=None)
    last_step: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


class RecoveryCode(Identified, table=True):
    """One of ten codes on paper, as HMAC. Making new ones voids the former batch."""

    __tablename__ = "mfa_recovery_codes"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    batch: UUID
    code_hmac: bytes = Field(unique=True)
    used_at: datetime | None = timestamptz(default=None)
    voided_at: datetime | None = timestamptz(default=None)


class Passkey(Identified, table=True):
    """A WebAuthn credential: a second factor, or a way in of its own."""

    __tablename__ = "webauthn_credentials"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    credential_id: bytes = Field(unique=True)
    public_key: bytes
    sign_count: int = Field(default=0, sa_type=BigInteger)
    transports: list[str] = Field(sa_type=JSONB)
    backed_up: bool = Field(default=False)
    name_ct: str | None = words(default=None)
    last_used_at: datetime | None = timestamptz(default=None)


class ChallengeKind(StrEnum):
    """What is waited for: a second factor, an authenticator's answer, a provider's callback."""

    MFA = "mfa"
    WEBAUTHN = "webauthn"
    OAUTH = "oauth"


class AuthChallenge(SQLModel, table=True):
    """Something begun that only its bearer can finish, once, within minutes. The bearer's token is kept as SHA-256.

    `browser_hash` binds it to the browser it began in; `payload_ct` holds what the end needs to know of the beginning.
    """

    __tablename__ = "auth_challenges"

    id_hash: bytes = Field(primary_key=True)
    kind: ChallengeKind = words()
    user_id: UUID | None = Field(default=None, foreign_key="users.id")
    browser_hash: bytes | None = Field(default=None)
    payload_ct: str | None = words(default=None)
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    created_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    expires_at: datetime = timestamptz()
    used_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index("ix_auth_challenges_user", "user_id"),
        Index("ix_auth_challenges_expires", "expires_at"),
    )
