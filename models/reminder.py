"""Reminders and their occurrences: the rows that hold what is true; the workflow only knows when."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from domain.reminder_series import OccurrenceState, ReminderClass, ReminderState
from models.base import Identified, Versioned, document, timestamptz, words


class Reminder(Versioned, table=True):
    """One series. `schedule` is the stored form of `domain.recurrence`; `schedule_version` rises only when a person
    changes the schedule, and is part of every occurrence key."""

    __tablename__ = "reminders"

    household_id: UUID = Field(foreign_key="households.id")
    user_id: UUID = Field(foreign_key="users.id")
    pet_id: UUID | None = Field(default=None, foreign_key="pets.id")
    title_ct: str = words()
    description_ct: str | None = words(default=None)
    klass: ReminderClass = words(default=ReminderClass.ROUTINE, sa_column_kwargs={"name": "class"})
    category: str = words(default="other")
    schedule: dict[str, object] = document()
    schedule_version: int = Field(default=1)
    notification_methods: list[str] = Field(sa_type=JSONB)
    lead_minutes: list[int] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    """How long before it is due each pre-due notice goes out; None: the default of the category."""
    steps: list[dict[str, object]] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    """The escalation policy (`domain.escalation`); None: the default of the category."""
    early_window_minutes: int | None = Field(default=None)
    min_gap_minutes: int | None = Field(default=None)
    """The dose guard: how long before its time a dose may be given, and how long after the one before."""
    state: ReminderState = words(default=ReminderState.ACTIVE)
    ended_reason: str | None = words(default=None)
    next_at: datetime | None = timestamptz(default=None)
    """The instant of the next pending occurrence: what lists sort by. None when nothing is pending."""
    last_seq: int = Field(default=0)
    """The highest `seq` of its occurrences, and how many of this schedule version were done or skipped: counting them
    in a series of years would cost more than everything else a delivery does."""
    finished: int = Field(default=0)
    deleted_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index("ix_reminders_household", "household_id", "id", postgresql_where=text("deleted_at IS NULL")),
        Index("ix_reminders_pet", "pet_id", "id", postgresql_where=text("deleted_at IS NULL")),
        Index("ix_reminders_user", "user_id"),
        Index("ix_reminders_active", "id", postgresql_where=text("state = 'active' AND deleted_at IS NULL")),
    )


class Occurrence(Versioned, table=True):
    """One nominal of a series with its own state (recurrence.md §3.3). `key` is its identity, never the instant."""

    __tablename__ = "occurrences"

    reminder_id: UUID = Field(foreign_key="reminders.id", ondelete="CASCADE")
    schedule_version: int
    key: str = words()
    seq: int
    nominal: str = words()
    instant: datetime = timestamptz()
    tzid: str | None = words(default=None)
    tzdata_version: str = words()
    state: OccurrenceState = words(default=OccurrenceState.SCHEDULED)
    late: bool = Field(default=False)
    notice_at: datetime | None = timestamptz(default=None)
    """When the next notice is due; None when none is pending."""
    notified_at: datetime | None = timestamptz(default=None)
    snooze_count: int = Field(default=0)
    round_at: datetime | None = timestamptz(default=None)
    """What escalation steps count from: the instant, or where it was snoozed to. None before the first notice."""
    rung: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """How many steps of this round were taken."""
    lead_at: datetime | None = timestamptz(default=None)
    """When the next pre-due notice goes out; None when none is to come."""
    closed_at: datetime | None = timestamptz(default=None)
    closed_by: UUID | None = Field(default=None, foreign_key="users.id")
    completed_at: datetime | None = timestamptz(default=None)
    acknowledged_at: datetime | None = timestamptz(default=None)
    acknowledged_by: UUID | None = Field(default=None, foreign_key="users.id")
    reason: str | None = words(default=None)

    __table_args__ = (
        Index("uq_occurrences_key", "reminder_id", "key", unique=True),
        Index("ix_occurrences_timeline", "reminder_id", text("instant DESC"), text("id DESC")),
        Index("ix_occurrences_coming", "instant", postgresql_where=text("state = 'scheduled'")),
        Index("ix_occurrences_open", "reminder_id", "instant", postgresql_where=text("state IN ('scheduled', 'due')")),
    )


class DoseState(StrEnum):
    """`undone`: taken back; the row stays, as everything that was said about a dose does."""

    GIVEN = "given"
    UNDONE = "undone"


class Dose(Identified, table=True):
    """A dose that was given. The unique index decides between two people who tap at once (product.md §4.1)."""

    __tablename__ = "doses"

    reminder_id: UUID = Field(foreign_key="reminders.id", ondelete="CASCADE")
    occurrence_id: UUID = Field(foreign_key="occurrences.id", ondelete="CASCADE")
    state: DoseState = words(default=DoseState.GIVEN)
    given_at: datetime = timestamptz()
    recorded_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    by_user_id: UUID = Field(foreign_key="users.id")
    override_reason_ct: str | None = words(default=None)
    """Why it was given although the guard refused; sealed under the household's key."""

    __table_args__ = (
        Index("uq_doses_given", "occurrence_id", unique=True, postgresql_where=text("state = 'given'")),
        Index("ix_doses_reminder", "reminder_id", text("given_at DESC")),
    )


class ZoneDataRun(SQLModel, table=True):
    """One roll-over to a version of the zone data: what it looked at and what it moved (recurrence.md §4.11)."""

    __tablename__ = "zone_data_runs"

    tzdata_version: str = words(primary_key=True)
    started_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    finished_at: datetime | None = timestamptz(default=None)
    checked: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    moved: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})


class ZoneDataMove(Identified, table=True):
    """One pending occurrence that a roll-over moved: what `explain` and the operator's report show."""

    __tablename__ = "zone_data_moves"

    tzdata_version: str = words(foreign_key="zone_data_runs.tzdata_version", ondelete="CASCADE")
    occurrence_id: UUID = Field(foreign_key="occurrences.id", ondelete="CASCADE", index=True)
    tzid: str = words()
    from_version: str = words()
    was: datetime = timestamptz()
    now: datetime = timestamptz()

    __table_args__ = (Index("uq_zone_data_moves", "tzdata_version", "occurrence_id", unique=True),)
