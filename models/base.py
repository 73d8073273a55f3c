"""What every table shares: naming of constraints, aware timestamps, key and version of an object the API serves."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.ids import new_id

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Timestamp = DateTime(timezone=True)
"""The only type for instants: `timestamptz`, aware UTC in Python."""


def timestamptz(**options: Any) -> Any:
    """A `timestamptz` column. Every instant of ours is aware; wall times stand only beside an IANA zone name."""
    return Field(sa_type=Timestamp, **options)  # type: ignore[call-overload, unused-ignore]


def document(**options: Any) -> Any:
    """A `jsonb` column whose shape the module that writes it documents."""
    return Field(sa_type=JSONB, **options)


def words(**options: Any) -> Any:
    """A `text` column: enums as words, ciphertexts, anything without a length limit of its own."""
    return Field(sa_type=Text, **options)


class Identified(SQLModel):
    """A UUID v7 key, given before the insert, and when the row was made."""

    id: UUID = Field(default_factory=new_id, primary_key=True)
    created_at: datetime = timestamptz(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)


class Versioned(Identified):
    """An object the API serves: `version` is the optimistic lock and the source of its ETag."""

    updated_at: datetime = timestamptz(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
