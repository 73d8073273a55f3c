"""Connected calendars: accounts, the calendar kept in each, and what is remembered of every pair of events.

What somebody wrote is sealed under the key of the person whose calendar it is: `…_ct` columns hold the JSON of
`activities.calendar_rows`. State that decides lies in rows; a workflow's history has ids and times alone.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Computed, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from domain.calendar_sync import LinkState
from models.base import Identified, Versioned, document, timestamptz, words


class ConnectionState(StrEnum):
    """`connecting`: the account was named and nobody has been there yet."""

    CONNECTING = "connecting"
    ACTIVE = "active"
    NEEDS_REAUTH = "needs_reauth"
    PAUSED = "paused"
    DISCONNECTED = "disconnected"


class Health(StrEnum):
    """Of one calendar, as its person sees it."""

    OK = "ok"
    RESYNCING = "resyncing"
    DELETES_PAUSED = "deletes_paused"
    CALENDAR_MISSING = "calendar_missing"
    PROVIDER_DOWN = "provider_down"


class CalendarConnection(Versioned, table=True):
    """An account at a provider. `account_bidx` finds the same account again, `account_ct` is its name for people,
    `credential_ct` what we get in with. What is adopted from it belongs to `household_id`."""

    __tablename__ = "calendar_connections"

    user_id: UUID = Field(foreign_key="users.id")
    household_id: UUID = Field(foreign_key="households.id")
    provider: str = words()
    state: ConnectionState = words(default=ConnectionState.CONNECTING)
    account_ct: str = words()
    account_bidx: bytes
    credential_ct: str | None = words(default=None)
    epoch: int = Field(default=0)
    """Rises with every credential: whoever was refused with an older one changes nothing."""
    policy: dict[str, object] = document(default_factory=dict)
    """`delete_wins`, `adopt`, `reminders`, `appointments` (booleans)."""
    remove_copies: bool = Field(default=False)
    """What disconnecting does to what is in the calendar."""
    disconnected_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index("uq_calendar_connections_account", "user_id", "provider", "account_bidx", unique=True),
        CheckConstraint("provider IN ('google', 'microsoft', 'caldav')", name="provider"),
    )


class CalendarLink(Versioned, table=True):
    """The calendar of our own in a connected account, and how far its list was read (calendar-sync.md §4.2, §4.6)."""

    __tablename__ = "calendar_links"

    connection_id: UUID = Field(foreign_key="calendar_connections.id", ondelete="CASCADE")
    user_id: UUID = Field(foreign_key="users.id")
    remote_calendar_id: str | None = words(default=None)
    """None until it was made or found there."""
    cursor: str | None = words(default=None)
    cursor_shape_version: int = Field(default=0)
    page_state: str | None = words(default=None)
    full_sync_in_progress: bool = Field(default=False)
    full_epoch: int = Field(default=0)
    full_listed: int | None = Field(default=None)
    """How many events the last whole list had."""
    news: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    news_read: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    """How often somebody said that the calendar may have changed there, and how often they had when a list was asked
    for that was read to its end."""
    last_full_at: datetime | None = timestamptz(default=None)
    last_ok_at: datetime | None = timestamptz(default=None)
    next_poll_at: datetime | None = timestamptz(default=None)
    changed_at: datetime | None = timestamptz(default=None)
    """When a run last found or wrote anything: what the pause between two polls depends on."""
    push_channels: list[dict[str, object]] = Field(default_factory=list, sa_type=JSONB)
    """`{id, resource_id, secret_hash, granted_at, expires_at}`; two while one replaces the other. What a provider sends
    with each message begins with the link's id, so that nothing has to be searched for."""
    health: Health = words(default=Health.OK)
    deletes_confirmed: bool = Field(default=False)
    """The person said that the many deletions are meant."""
    failures: int = Field(default=0)
    last_error: str | None = words(default=None)
    """The code of the last failure."""

    __table_args__ = (
        Index("uq_calendar_links_calendar", "connection_id", "remote_calendar_id", unique=True),
        Index("ix_calendar_links_user", "user_id"),
    )


class EventLink(Identified, table=True):
    """A local event and its counterpart (`activities.calendar_store.LinkRow`). `part` tells apart the events of a
    reminder with several times a day."""

    __tablename__ = "event_links"

    calendar_link_id: UUID = Field(foreign_key="calendar_links.id", ondelete="CASCADE")
    appointment_id: UUID | None = Field(default=None, foreign_key="appointments.id", ondelete="CASCADE")
    reminder_id: UUID | None = Field(default=None, foreign_key="reminders.id", ondelete="CASCADE")
    local_id: UUID | None = Field(
        default=None, sa_column_args=(Computed("coalesce(appointment_id, reminder_id)", persisted=True),)
    )
    part: str = words(default="", sa_column_kwargs={"server_default": ""})
    state: LinkState = words(default=LinkState.LIVE)
    remote_id: str | None = words(default=None)
    remote_etag: str | None = words(default=None)
    generation: int = Field(default=0)
    agreed_ct: str | None = words(default=None)
    intent_ct: str | None = words(default=None)
    local_version_at_base: int = Field(default=-1, sa_type=BigInteger)
    delays: int = Field(default=0)
    """Runs in a row in which somebody was always quicker."""
    retry_at: datetime | None = timestamptz(default=None)
    error: str | None = words(default=None)

    __table_args__ = (
        CheckConstraint("(appointment_id IS NULL) <> (reminder_id IS NULL)", name="one_local"),
        Index("uq_event_links_remote", "calendar_link_id", "remote_id", unique=True),
        Index(
            "uq_event_links_local",
            "calendar_link_id",
            "local_id",
            "part",
            unique=True,
            postgresql_where=text("state <> 'dead'"),
        ),
        Index("ix_event_links_appointment", "appointment_id"),
        Index("ix_event_links_reminder", "reminder_id"),
    )


class CalendarInboxItem(SQLModel, table=True):
    """What the calendar's list said of one id, until somebody looked at it (`handled`). Of an event that its person
    does not want as an appointment, what there is to show stays."""

    __tablename__ = "calendar_inbox_items"

    calendar_link_id: UUID = Field(foreign_key="calendar_links.id", ondelete="CASCADE", primary_key=True)
    remote_id: str = words(primary_key=True)
    payload_ct: str | None = words(default=None)
    """The provider's own document, where the list held all of the event."""
    payload_etag: str | None = words(default=None)
    removed: bool = Field(default=False)
    seen_in_full_epoch: int = Field(default=0)
    handled: bool = Field(default=False)
    event_ct: str | None = words(default=None)
    """The event that is shown (`models.queries.calendar_external`), as it was when it was looked at last."""
    starts_utc: datetime | None = timestamptz(default=None)
    """No part of that event is earlier, and none later than `ends_utc` (None: endless)."""
    ends_utc: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index("ix_calendar_inbox_items_open", "calendar_link_id", postgresql_where=text("NOT handled")),
        Index(
            "ix_calendar_inbox_items_shown",
            "calendar_link_id",
            "starts_utc",
            postgresql_where=text("event_ct IS NOT NULL"),
        ),
    )


class CalendarConflict(Identified, table=True):
    """A field that both sides had changed: all three values sealed as one document, and which of them stands."""

    __tablename__ = "calendar_conflicts"

    event_link_id: UUID = Field(foreign_key="event_links.id", ondelete="CASCADE", index=True)
    calendar_link_id: UUID = Field(foreign_key="calendar_links.id", ondelete="CASCADE")
    field: str = words()
    original: str | None = words(default=None)
    """Which occurrence, for an exception of a series."""
    values_ct: str = words()
    winner: str = words()
    restored_at: datetime | None = timestamptz(default=None)

    __table_args__ = (Index("ix_calendar_conflicts_link", "calendar_link_id", text("id DESC")),)
