"""Who lives with which animals: pets belong to a household, never to one person."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from models.base import Identified, Versioned, timestamptz, words


class Role(StrEnum):
    """What a member may do; the table stands in identity-and-security.md §4.6."""

    OWNER = "owner"
    CARETAKER = "caretaker"


class Household(Versioned, table=True):
    """A home. Registration makes a personal one; its zone is the creator's."""

    __tablename__ = "households"

    name_ct: str | None = words(default=None)
    home_tzid: str = words()
    country: str | None = words(default=None)
    currency: str = words(default="EUR")


class Membership(Identified, table=True):
    """A person in a household. One active row per pair."""

    __tablename__ = "memberships"

    household_id: UUID = Field(foreign_key="households.id")
    user_id: UUID = Field(foreign_key="users.id")
    role: Role = words()
    left_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index(
            "uq_memberships_active", "household_id", "user_id", unique=True, postgresql_where=text("left_at IS NULL")
        ),
        Index("ix_memberships_user", "user_id", postgresql_where=text("left_at IS NULL")),
    )
