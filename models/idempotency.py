"""Answers already given: one `Idempotency-Key` has one effect (identity-and-security.md §4.10)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Field, SQLModel

from models.base import timestamptz, words


class IdempotencyKey(SQLModel, table=True):
    """Inserted in the transaction of the effect. `body_ct` is the stored answer under the user's key."""

    __tablename__ = "idempotency_keys"

    user_id: UUID = Field(primary_key=True, foreign_key="users.id", ondelete="CASCADE")
    method: str = words(primary_key=True)
    route: str = words(primary_key=True)
    key: str = words(primary_key=True)
    row_id: UUID
    """What the ciphertext of the body is bound to."""
    fingerprint: bytes
    status: int | None = Field(default=None)
    headers: str | None = words(default=None)
    body_ct: str | None = words(default=None)
    created_at: datetime = timestamptz(
        sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None, index=True
    )
