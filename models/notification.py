"""What was sent to whom, and what is shown in the app."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from models.base import Identified, timestamptz, words


class Channel(StrEnum):
    """A way to reach a person."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    IN_APP = "in_app"


class MailTemplate(StrEnum):
    """What a mail about the account says. Tokens in its links are minted by the activity that sends it."""

    VERIFY_EMAIL = "verify_email"
    ALREADY_REGISTERED = "already_registered"
    SESSION_REUSE = "session_reuse"
    ERASURE_REQUESTED = "erasure_requested"


class DeliveryState(StrEnum):
    """`planned` before the provider was asked, `sent` once it accepted."""

    PLANNED = "planned"
    DEFERRED = "deferred"
    FOLDED = "folded"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class Delivery(Identified, table=True):
    """One message to one person on one channel. Inserted before the send; its id is the provider's idempotency key.

    `event_key` is `reminder/{reminder_id}/{occurrence key}` or that of another sender; `step` tells a first notice
    (`due`) from a repeated one (`snooze-1`).
    """

    __tablename__ = "deliveries"

    event_key: str = words()
    user_id: UUID = Field(foreign_key="users.id")
    channel: Channel = words()
    step: str = words(default="due")
    template: str = words()
    occurrence_id: UUID | None = Field(default=None, foreign_key="occurrences.id", ondelete="CASCADE", index=True)
    state: DeliveryState = words(default=DeliveryState.PLANNED)
    provider_id: str | None = words(default=None)
    attempt: int = Field(default=0)
    reason: str | None = words(default=None)
    claimed_until: datetime | None = timestamptz(default=None)
    """A lease: until then one process may be talking to the provider about it, and nobody else does."""
    at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)

    __table_args__ = (
        Index("uq_deliveries_event", "event_key", "user_id", "channel", "step", unique=True),
        Index("ix_deliveries_user", "user_id", "id"),
    )


class Notification(Identified, table=True):
    """A line in the app. It names the occurrence; the words are made when it is read."""

    __tablename__ = "notifications"

    user_id: UUID = Field(foreign_key="users.id")
    delivery_id: UUID = Field(foreign_key="deliveries.id", ondelete="CASCADE", unique=True)
    occurrence_id: UUID | None = Field(default=None, foreign_key="occurrences.id", ondelete="CASCADE", index=True)
    read_at: datetime | None = timestamptz(default=None)
    withdrawn_at: datetime | None = timestamptz(default=None)

    __table_args__ = (Index("ix_notifications_user", "user_id", text("id DESC")),)
