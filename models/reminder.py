"""Reminders and their occurrences: the rows that hold what is true; the workflow only knows when."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from domain.reminder_series import OccurrenceState, ReminderClass, ReminderState
from models.base import Versioned, document, timestamptz, words


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
    closed_at: datetime | None = timestamptz(default=None)
    closed_by: UUID | None = Field(default=None, foreign_key="users.id")
    completed_at: datetime | None = timestamptz(default=None)
    acknowledged_at: datetime | None = timestamptz(default=None)
    acknowledged_by: UUID | None = Field(default=None, foreign_key="users.id")
    reason: str | None = words(default=None)

    __table_args__ = (
        Index("uq_occurrences_key", "reminder_id", "key", unique=True),
        Index("ix_occurrences_timeline", "reminder_id", text("instant DESC"), text("id DESC")),
        Index("ix_occurrences_open", "reminder_id", "instant", postgresql_where=text("state IN ('scheduled', 'due')")),
    )
