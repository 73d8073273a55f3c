"""Lost pets: the tag on the collar, the search, and what finders report."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, Index, Text, text
from sqlmodel import Field

from models.base import Identified, Versioned, timestamptz, words


class PetTag(Identified, table=True):
    """The code on a collar. It opens the pet's public page, which shows what its owners chose, field by field."""

    __tablename__ = "pet_tags"

    pet_id: UUID = Field(foreign_key="pets.id", index=True)
    contact_id: UUID = Field(foreign_key="users.id")
    """Whose first name and phone number it can show: who saved it last."""
    code: str = words(unique=True)
    shown: list[str] = Field(sa_type=ARRAY(Text))  # type: ignore[call-overload, unused-ignore]
    note_ct: str | None = words(default=None)
    care_note_ct: str | None = words(default=None)
    revoked_at: datetime | None = timestamptz(default=None)

    __table_args__ = (Index("uq_pet_tags_active", "pet_id", unique=True, postgresql_where=text("revoked_at IS NULL")),)


class LostCaseState(StrEnum):
    """`open` until a member closes it, or nobody has answered for 30 days."""

    OPEN = "open"
    CLOSED = "closed"


class LostCase(Versioned, table=True):
    """One search. `shown` are the fields its public page shows, a contact being who opened it; some time after its end
    what was written for it is wiped."""

    __tablename__ = "lost_cases"

    pet_id: UUID = Field(foreign_key="pets.id")
    household_id: UUID = Field(foreign_key="households.id")
    opened_by: UUID = Field(foreign_key="users.id")
    shown: list[str] = Field(sa_type=ARRAY(Text))  # type: ignore[call-overload, unused-ignore]
    note_ct: str | None = words(default=None)
    state: LostCaseState = words(default=LostCaseState.OPEN)
    asked_at: datetime | None = timestamptz(default=None)
    """When its members were last asked whether it is still lost."""
    answered_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    """When a member last said so."""
    closed_at: datetime | None = timestamptz(default=None)
    closed_by: UUID | None = Field(default=None, foreign_key="users.id")
    closed_reason: str | None = words(default=None)
    wiped_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index("uq_lost_cases_open", "pet_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_lost_cases_household", "household_id", "id"),
        Index("ix_lost_cases_pet", "pet_id", text("id DESC")),
        Index("ix_lost_cases_unfinished", "id", postgresql_where=text("wiped_at IS NULL")),
    )


class Sighting(Identified, table=True):
    """What a finder wrote, sealed for the household. `case_id` is None for a pet that nobody has missed yet."""

    __tablename__ = "sightings"

    pet_id: UUID = Field(foreign_key="pets.id")
    case_id: UUID | None = Field(default=None, foreign_key="lost_cases.id", index=True)
    message_ct: str | None = words(default=None)
    place_ct: str | None = words(default=None)
    contact_ct: str | None = words(default=None)
    wiped_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index("ix_sightings_pet", "pet_id", text("id DESC")),
        Index("ix_sightings_stray", "id", postgresql_where=text("case_id IS NULL AND wiped_at IS NULL")),
    )
