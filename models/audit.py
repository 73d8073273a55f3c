"""The append-only audit log: the database refuses UPDATE and DELETE."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from core.ids import new_id
from models.base import Identified, timestamptz, words


class AuditEntry(SQLModel, table=True):
    """Who did what on whose data, with which outcome. Pseudonymous ids only, never an address, a name or a secret."""

    __tablename__ = "audit_log"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    ts: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    actor: str = words()
    subject: str | None = words(default=None)
    action: str = words()
    object: str | None = words(default=None)
    outcome: str = words()
    ip_hmac: bytes | None = Field(default=None)
    request_id: str | None = words(default=None)
    sid: UUID | None = Field(default=None)
    household: str | None = words(default=None)
    """Whose household it was about, `household:{id}`, where it was about one."""

    __table_args__ = (
        Index("ix_audit_log_subject", "subject", "id"),
        Index("ix_audit_log_household", "household", "id"),
        Index("ix_audit_log_ts", "ts", "id"),
    )


class AuditSeal(SQLModel, table=True):
    """The chain over one stretch of the log (`domain/audit.py`): `hash` covers its entries and the hash before, so that
    no entry of a sealed stretch can be changed, taken out or slipped in unseen. Append-only as the log itself."""

    __tablename__ = "audit_seals"

    seq: int = Field(primary_key=True)
    day: date
    sealed_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    after_ts: datetime | None = timestamptz(default=None)
    after_id: UUID | None = Field(default=None)
    last_ts: datetime = timestamptz()
    last_id: UUID
    entries: int
    prev_hash: bytes
    hash: bytes


class AuditVerification(Identified, table=True):
    """One run over the chain: what it looked at, and the first seal that did not fit."""

    __tablename__ = "audit_verifications"

    seals: int
    entries: int
    broken_seq: int | None = Field(default=None)
