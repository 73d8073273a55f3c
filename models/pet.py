"""Animals: who they are, what they weigh, which chips they carry."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from models.base import Identified, Versioned, timestamptz, words


class PetStatus(StrEnum):
    """`archived` covers given away and no longer cared for; every status but `active` and `lost` ends reminders."""

    ACTIVE = "active"
    LOST = "lost"
    DECEASED = "deceased"
    ARCHIVED = "archived"
    TRANSFERRED = "transferred"


class Pet(Versioned, table=True):
    """An animal of a household. `home_tzid` only where it lives elsewhere than the household."""

    __tablename__ = "pets"

    household_id: UUID = Field(foreign_key="households.id")
    name_ct: str = words()
    species: str | None = words(default=None)
    breed: str | None = words(default=None)
    is_mixed: bool | None = Field(default=None)
    sex: str | None = words(default=None)
    neutered: bool | None = Field(default=None)
    date_of_birth: date | None = Field(default=None)
    dob_precision: str | None = words(default=None)
    home_tzid: str | None = words(default=None)
    external_photo_url: str | None = words(default=None)
    status: PetStatus = words(default=PetStatus.ACTIVE)
    deleted_at: datetime | None = timestamptz(default=None)

    __table_args__ = (Index("ix_pets_household", "household_id", "id", postgresql_where=text("deleted_at IS NULL")),)


class Weight(Identified, table=True):
    """One weighing: grams for arithmetic, text and unit exactly as they were entered."""

    __tablename__ = "weights"

    pet_id: UUID = Field(foreign_key="pets.id", ondelete="CASCADE")
    grams: int
    entered_value: str = words()
    entered_unit: str = words()
    measured_at: datetime = timestamptz()
    by_user_id: UUID = Field(foreign_key="users.id")

    __table_args__ = (Index("ix_weights_latest", "pet_id", text("measured_at DESC"), text("id DESC")),)


class Microchip(Identified, table=True):
    """A chip number, as read and as entered; the blind index finds a clash without showing the number."""

    __tablename__ = "microchips"

    pet_id: UUID = Field(foreign_key="pets.id", ondelete="CASCADE", index=True)
    code_ct: str = words()
    code_bidx: bytes
    code_as_entered_ct: str = words()
    standard: str = words()
    prefix_kind: str | None = words(default=None)
    implanted_on: date | None = Field(default=None)
    site: str | None = words(default=None)
    is_primary: bool = Field(default=True)
    disputed: bool = Field(default=False)
    removed_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index(
            "uq_microchips_code",
            "code_bidx",
            unique=True,
            postgresql_where=text("NOT disputed AND removed_at IS NULL"),
        ),
        Index(
            "uq_microchips_primary",
            "pet_id",
            unique=True,
            postgresql_where=text("is_primary AND removed_at IS NULL"),
        ),
    )
