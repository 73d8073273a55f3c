"""Appointments: Petfolio's own calendar events. The rows hold one `domain.calendar.Event` each, with its exceptions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Index, Integer, Text, text
from sqlmodel import Field

from domain.appointment import State
from models.base import Identified, Versioned, timestamptz, words

_KEPT = "deleted_at IS NULL"


def _wall_time() -> Any:
    """A `timestamp` column: what a clock shows. The zone stands beside it, or nowhere for whole days."""
    return Field(sa_type=DateTime(timezone=False))


class Appointment(Versioned, table=True):
    """One event, or one series. Times are on the clock of `tzid`; without one it is about whole days, from midnight to
    the midnight after the last of them."""

    __tablename__ = "appointments"

    household_id: UUID = Field(foreign_key="households.id")
    user_id: UUID = Field(foreign_key="users.id")
    pet_id: UUID | None = Field(default=None, foreign_key="pets.id")
    title_ct: str = words()
    notes_ct: str | None = words(default=None)
    location_ct: str | None = words(default=None)
    starts_at: datetime = _wall_time()
    ends_at: datetime = _wall_time()
    tzid: str | None = words(default=None)
    rrule: str | None = words(default=None)
    alarms: list[int] = Field(default_factory=list, sa_type=ARRAY(Integer))
    """Minutes before the start."""
    exdates: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    """Original starts of the occurrences that were left out, as text."""
    status: State = words(default=State.PLANNED)
    starts_utc: datetime = timestamptz()
    """No part of it is earlier, and none later than `ends_utc` (None: endless): what lists and views search by."""
    ends_utc: datetime | None = timestamptz(default=None)
    adopted_link_id: UUID | None = Field(default=None)
    """The calendar link it was taken over from; None for what was made here."""
    deleted_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index("ix_appointments_household", "household_id", "starts_utc", "id", postgresql_where=text(_KEPT)),
        Index("ix_appointments_pet", "pet_id", "id"),
        Index("ix_appointments_user", "user_id"),
    )


class AppointmentOverride(Identified, table=True):
    """One occurrence of a series that was moved or worded otherwise, whole. `original`: where the rule puts it."""

    __tablename__ = "appointment_overrides"

    appointment_id: UUID = Field(foreign_key="appointments.id", ondelete="CASCADE")
    original: str = words()
    starts_at: datetime = _wall_time()
    ends_at: datetime = _wall_time()
    title_ct: str = words()
    notes_ct: str | None = words(default=None)
    location_ct: str | None = words(default=None)

    __table_args__ = (Index("uq_appointment_overrides", "appointment_id", "original", unique=True),)
