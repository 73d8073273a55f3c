"""People and the keys that protect what is theirs."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from models.base import Identified, Versioned, timestamptz, words


class UserState(StrEnum):
    """`blocked`: may not sign in (erasure asked for, or an operator's word). `erased`: only this row is left."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    ERASING = "erasing"
    ERASED = "erased"


class User(Versioned, table=True):
    """An account. Columns ending in `_ct` are ciphertext under the user's key, `_bidx` are blind indexes."""

    __tablename__ = "users"

    email_ct: str = words()
    email_bidx: bytes = Field(unique=True)
    email_verified_at: datetime | None = timestamptz(default=None)
    first_name_ct: str | None = words(default=None)
    last_name_ct: str | None = words(default=None)
    phone_ct: str | None = words(default=None)
    timezone: str = words(default="UTC")
    locale: str = words(default="en")
    subscription_tier: str = words(default="free")
    state: UserState = words(default=UserState.ACTIVE)
    token_epoch: int = Field(default=1)
    password_hash: str | None = words(default=None)
    password_single_factor_ok: bool = Field(default=False)
    is_staff: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """An operator of the platform: may ask for break-glass access (`BreakGlass`), and has none without it."""


class UserKey(SQLModel, table=True):
    """A wrapped data key of a user, a household or the platform.

    Read and written through a connection of its own and committed before the first row that needs it: an orphan key
    harms nothing, and production may keep this table in a database with a shorter backup (identity-and-security §4.7).
    """

    __tablename__ = "user_keys"

    kid: str = words(primary_key=True)
    owner_kind: str = words()
    owner_id: UUID | None = Field(default=None)
    key_version: int = Field(default=1)
    wrapped_dek: bytes | None = Field(default=None)
    kek_id: str = words()
    created_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    destroyed_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index(
            "uq_user_keys_owner",
            "owner_kind",
            "owner_id",
            "key_version",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )


class EmailChange(Identified, table=True):
    """An address that an account wants to move to. It counts once its owner has confirmed it from there."""

    __tablename__ = "email_changes"

    user_id: UUID = Field(foreign_key="users.id")
    session_id: UUID | None = Field(default=None, foreign_key="sessions.id", ondelete="SET NULL", index=True)
    """Where it was asked for: the one session that goes on."""
    address_ct: str = words()
    address_bidx: bytes
    confirmed_at: datetime | None = timestamptz(default=None)
    dropped_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index(
            "uq_email_changes_open",
            "user_id",
            unique=True,
            postgresql_where=text("confirmed_at IS NULL AND dropped_at IS NULL"),
        ),
    )


class AuthIdentity(Identified, table=True):
    """An account elsewhere that opens this one. It is `(issuer, subject)`, never an address (I6).

    `refresh_token_ct` is what Apple wants back when the account goes.
    """

    __tablename__ = "auth_identities"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    provider: str = words()
    issuer: str = words()
    subject: str = words()
    email_ct: str | None = words(default=None)
    email_verified: bool = Field(default=False)
    refresh_token_ct: str | None = words(default=None)
    last_used_at: datetime | None = timestamptz(default=None)

    __table_args__ = (Index("uq_auth_identities_subject", "issuer", "subject", unique=True),)


class ErasureState(StrEnum):
    """Where a wish to be forgotten stands."""

    REQUESTED = "requested"
    CANCELLED = "cancelled"


class ErasureRequest(Identified, table=True):
    """A person's wish to be forgotten, with the grace in which it can be taken back."""

    __tablename__ = "erasure_requests"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    execute_at: datetime = timestamptz()
    cancelled_at: datetime | None = timestamptz(default=None)
    state: ErasureState = words(default=ErasureState.REQUESTED)

    __table_args__ = (
        Index("uq_erasure_requests_open", "user_id", unique=True, postgresql_where=text("state = 'requested'")),
    )
