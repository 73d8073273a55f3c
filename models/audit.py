"""The append-only audit log: the database refuses UPDATE and DELETE."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from core.ids import new_id
from models.base import timestamptz, words


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

    __table_args__ = (Index("ix_audit_log_subject", "subject", "id"),)
