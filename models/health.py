"""What happened to an animal's health, and what it cost."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.ids import new_id
from models.base import document, timestamptz, words


class HealthRecordId(SQLModel, table=True):
    """Makes a record's id unique across partitions and leads from the id alone to its partition (product.md §3.2)."""

    __tablename__ = "health_record_ids"

    id: UUID = Field(primary_key=True)
    pet_id: UUID = Field(foreign_key="pets.id", ondelete="CASCADE", index=True)


class HealthRecord(SQLModel, table=True):
    """An entry of the health diary: 16 hash partitions by pet, key `(pet_id, id)`.

    Money is in minor units of `currency` (ISO 4217). `state` is `planned` for what lies ahead.
    """

    __tablename__ = "health_records"

    pet_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    household_id: UUID = Field(foreign_key="households.id")
    record_type: str = words()
    title_ct: str = words()
    description_ct: str | None = words(default=None)
    date_administered: date | None = Field(default=None)
    veterinarian_ct: str | None = words(default=None)
    state: str = words(default="done")
    cost_minor: int | None = Field(default=None, sa_type=BigInteger)
    currency: str | None = words(default=None)
    attachments: list[dict[str, object]] = Field(default_factory=list, sa_type=JSONB)
    detail: dict[str, object] = document(default_factory=dict)
    created_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    updated_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    by_user_id: UUID = Field(foreign_key="users.id")
    deleted_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        ForeignKeyConstraint(["id"], ["health_record_ids.id"], ondelete="CASCADE"),
        Index("ix_health_records_timeline", "pet_id", text("id DESC"), postgresql_where=text("deleted_at IS NULL")),
        {"postgresql_partition_by": "HASH (pet_id)"},
    )
