"""When a household is away, and what is quiet meanwhile."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Index, Text, Uuid
from sqlmodel import Field

from models.base import Versioned, timestamptz


class Absence(Versioned, table=True):
    """One absence. Ids and instants only: it names nobody. `pet_ids` NULL: everything of the household, also what
    belongs to no pet. `ended_at`: ended before its time."""

    __tablename__ = "absences"

    household_id: UUID = Field(foreign_key="households.id")
    pet_ids: list[UUID] | None = Field(  # type: ignore[call-overload, unused-ignore]
        default=None, sa_type=ARRAY(Uuid)
    )
    categories: list[str] = Field(sa_type=ARRAY(Text))  # type: ignore[call-overload, unused-ignore]
    starts_at: datetime = timestamptz()
    ends_at: datetime = timestamptz()
    ended_at: datetime | None = timestamptz(default=None)

    __table_args__ = (Index("ix_absences_household", "household_id", "id"),)
