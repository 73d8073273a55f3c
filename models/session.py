"""Signed-in devices, and what guards the way in."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.base import Identified, timestamptz, words


class Session(Identified, table=True):
    """One device session with exactly one live refresh chain (identity-and-security.md §4.1).

    `rt_hash` is the SHA-256 of the live refresh token, `prev_hash` of its immediate parent; `replay_ct` is the answer
    given for the parent, readable only with the raw parent token.
    """

    __tablename__ = "sessions"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    epoch: int
    gen: int = Field(default=1)
    rt_hash: bytes = Field(unique=True)
    prev_hash: bytes | None = Field(default=None, index=True)
    rotated_at: datetime | None = timestamptz(default=None)
    replay_ct: bytes | None = Field(default=None)
    auth_time: datetime = timestamptz()
    amr: list[str] = Field(sa_type=JSONB)
    ip_trunc: str | None = words(default=None)
    user_agent: str | None = words(default=None)
    in_cookie: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """A browser's: the refresh token travels in a cookie, and the session ends earlier."""
    last_seen: datetime = timestamptz()
    idle_expires_at: datetime = timestamptz()
    absolute_expires_at: datetime = timestamptz()
    revoked_at: datetime | None = timestamptz(default=None)
    revoke_reason: str | None = words(default=None)

    __table_args__ = (
        Index("ix_sessions_revoked", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
        Index("ix_sessions_replay", "rotated_at", postgresql_where=text("replay_ct IS NOT NULL")),
    )


class RetiredRefresh(SQLModel, table=True):
    """Refresh tokens older than the parent: seeing one again means it was stolen. Kept until the session's end."""

    __tablename__ = "retired_refresh"

    hash: bytes = Field(primary_key=True)
    session_id: UUID = Field(foreign_key="sessions.id", index=True)
    retired_at: datetime = timestamptz()

    __table_args__ = (Index("ix_retired_refresh_retired_at", "retired_at", postgresql_using="brin"),)


class LoginThrottle(SQLModel, table=True):
    """Failures per account key (an HMAC of the canonical address, also when no such account exists)."""

    __tablename__ = "login_throttle"

    key: bytes = Field(primary_key=True)
    fails: int
    consecutive: int
    next_allowed_at: datetime = timestamptz()
    last_fail_at: datetime = timestamptz()


class DeviceCookie(SQLModel, table=True):
    """A device on which the account was fully signed in to: strangers' failures do not delay it (§2.5)."""

    __tablename__ = "device_cookies"

    id_hash: bytes = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", index=True)
    fails: int = Field(default=0)
    created_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    expires_at: datetime = timestamptz()

    __table_args__ = (Index("ix_device_cookies_created_at", "created_at", postgresql_using="brin"),)


class MailTokenKind(StrEnum):
    """What the bearer of a mailed token may do, once."""

    VERIFY = "verify"
    CANCEL_ERASURE = "cancel_erasure"
    RESET = "reset"
    CHANGE = "change"


class MailToken(SQLModel, table=True):
    """A token that was mailed: only its SHA-256 is kept. Minted by the activity that sends the mail."""

    __tablename__ = "mail_tokens"

    hash: bytes = Field(primary_key=True)
    kind: MailTokenKind = words()
    user_id: UUID = Field(foreign_key="users.id", index=True)
    address_bidx: bytes
    created_at: datetime = timestamptz()
    expires_at: datetime = timestamptz()
    used_at: datetime | None = timestamptz(default=None)
    voided_at: datetime | None = timestamptz(default=None)
