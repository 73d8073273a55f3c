"""What was sent to whom, and what is shown in the app."""

from datetime import date, datetime, time
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from domain.notification import Channel as Channel
from models.base import Identified, Versioned, timestamptz, words


class MailTemplate(StrEnum):
    """What a mail about the account says. Tokens in its links are minted by the activity that sends it."""

    VERIFY_EMAIL = "verify_email"
    ALREADY_REGISTERED = "already_registered"
    SESSION_REUSE = "session_reuse"
    BREAK_GLASS = "break_glass"
    ERASURE_REQUESTED = "erasure_requested"
    FACTOR_ADDED = "factor_added"
    FACTOR_REMOVED = "factor_removed"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_NOT_LINKED = "identity_not_linked"
    IDENTITY_UNLINKED = "identity_unlinked"
    IDENTITY_REVOKED = "identity_revoked"
    INVITATION = "invitation"
    """To an address that may have no account: `activities/invitation.py` sends it, and so it does the next."""
    PET_OFFERED = "pet_offered"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name, not a secret
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    CONFIRM_EMAIL = "confirm_email"
    ADDRESS_IN_USE = "address_in_use"
    EMAIL_CHANGE_ASKED = "email_change_asked"
    EMAIL_CHANGED = "email_changed"
    GRANT_GIVEN = "grant_given"
    GRANT_ANSWERED = "grant_answered"
    GRANT_STARTED = "grant_started"
    GRANT_ENDED = "grant_ended"
    SITTER_SUMMARY = "sitter_summary"
    PET_LOST = "pet_lost"
    STILL_LOST = "still_lost"
    PET_SIGHTED = "pet_sighted"
    SEARCH_ENDED = "search_ended"
    CALENDAR_RECONNECT = "calendar_reconnect"
    CALENDAR_MISSING = "calendar_missing"
    CALENDAR_DELETIONS = "calendar_deletions"
    CALENDAR_REVIVED = "calendar_revived"
    PAYMENT_FAILED = "payment_failed"
    FIRST_PAYMENT_FAILED = "first_payment_failed"
    TRIAL_ENDING = "trial_ending"
    REFUND_PAID = "refund_paid"
    REFUND_FAILED = "refund_failed"
    MEDIA_REFUSED = "media_refused"


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
    reminder_id: UUID | None = Field(default=None, foreign_key="reminders.id", ondelete="CASCADE")
    """Of the occurrence: whose workflow sends it."""
    state: DeliveryState = words(default=DeliveryState.PLANNED)
    provider_id: str | None = words(default=None)
    attempt: int = Field(default=0)
    reason: str | None = words(default=None)
    category: str = words(default="account", sa_column_kwargs={"server_default": "account"})
    """A row of the preference matrix (`domain.notification`): what the person may have turned off."""
    params_ct: str | None = words(default=None)
    """The words of a message that is not about an occurrence: JSON, sealed under the person's key."""
    not_before: datetime | None = timestamptz(default=None)
    """Quiet hours, or the gathering of late notices: until then it stays `deferred`."""
    folded_into: UUID | None = Field(default=None, foreign_key="deliveries.id", ondelete="SET NULL")
    """The digest or combined message that said it instead."""
    retracted_at: datetime | None = timestamptz(default=None)
    """When a push that had become pointless was replaced on the devices that may have shown it."""
    claimed_until: datetime | None = timestamptz(default=None)
    """A lease: until then one process may be talking to the provider about it, and nobody else does."""
    at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)

    __table_args__ = (
        Index("uq_deliveries_event", "event_key", "user_id", "channel", "step", unique=True),
        Index("ix_deliveries_user", "user_id", "id"),
        Index("ix_deliveries_provider", "provider_id", postgresql_where=text("provider_id IS NOT NULL")),
        Index(
            "ix_deliveries_folded",
            "user_id",
            "created_at",
            postgresql_where=text("state = 'folded' AND reason = 'digest' AND folded_into IS NULL"),
        ),
        Index("ix_deliveries_waiting", "reminder_id", "at", postgresql_where=text("state IN ('planned', 'deferred')")),
    )


class DeliveryEventKind(StrEnum):
    """What became of a delivery, step by step: what `explain` tells. `retracted`: a device has replaced what it showed;
    `charged`: so many segments (the code) were taken from the budget of text messages."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    DELAYED = "delayed"
    COMPLAINED = "complained"
    RETRACTED = "retracted"
    CHARGED = "charged"


class DeliveryEvent(Identified, table=True):
    """One attempt of a delivery, or one receipt for it. Append-only."""

    __tablename__ = "delivery_events"

    delivery_id: UUID = Field(foreign_key="deliveries.id", ondelete="CASCADE")
    kind: DeliveryEventKind = words()
    device_id: UUID | None = Field(default=None, foreign_key="devices.id", ondelete="SET NULL")
    provider_id: str | None = words(default=None)
    code: str | None = words(default=None)

    __table_args__ = (Index("ix_delivery_events_delivery", "delivery_id", "id"),)


class Notification(Identified, table=True):
    """A line in the app. It names the occurrence; the words are made when it is read."""

    __tablename__ = "notifications"

    user_id: UUID = Field(foreign_key="users.id")
    delivery_id: UUID = Field(foreign_key="deliveries.id", ondelete="CASCADE", unique=True)
    occurrence_id: UUID | None = Field(default=None, foreign_key="occurrences.id", ondelete="CASCADE", index=True)
    read_at: datetime | None = timestamptz(default=None)
    withdrawn_at: datetime | None = timestamptz(default=None)

    __table_args__ = (Index("ix_notifications_user", "user_id", text("id DESC")),)


class DeviceKind(StrEnum):
    """How a device is reached: Firebase Cloud Messaging, or the browser's own push service."""

    FCM = "fcm"
    WEBPUSH = "webpush"


class Device(Versioned, table=True):
    """A phone or a browser that takes push messages. `token_ct` seals the registration token, or the subscription
    (endpoint, p256dh, auth) as JSON; `token_bidx` finds it again, so that a device belongs to one account only."""

    __tablename__ = "devices"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    session_id: UUID = Field(foreign_key="sessions.id", index=True, ondelete="CASCADE")
    """Who registered it: signing out there is the end of messages to it."""
    kind: DeviceKind = words()
    token_ct: str = words()
    token_bidx: bytes = Field()
    label_ct: str | None = words(default=None)
    last_used_at: datetime | None = timestamptz(default=None)
    disabled_at: datetime | None = timestamptz(default=None)
    disabled_reason: str | None = words(default=None)

    __table_args__ = (
        Index("uq_devices_token", "token_bidx", unique=True, postgresql_where=text("disabled_at IS NULL")),
    )


class NotificationPreference(SQLModel, table=True):
    """One cell of the matrix category × channel that differs from its default."""

    __tablename__ = "notification_preferences"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True)
    category: str = words(primary_key=True)
    channel: Channel = words(primary_key=True)
    enabled: bool
    updated_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)


class NotificationSettings(SQLModel, table=True):
    """How somebody wants to be told; no row means the defaults. Wall times are on the person's own clock."""

    __tablename__ = "notification_settings"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True)
    digest_frequency: str = words(default="daily", sa_column_kwargs={"server_default": "daily"})
    digest_weekday: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """0 is Monday; for weekly digests."""
    digest_at: time = Field(default=time(8), sa_column_kwargs={"server_default": text("'08:00'")})
    critical_bypass: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """Whether doses, lost pets and security break through quiet hours."""
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    updated_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)


class QuietWindow(SQLModel, table=True):
    """A daily window without notices, on the person's own clock: start inclusive, end exclusive."""

    __tablename__ = "quiet_hours"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True)
    starts: time = Field(primary_key=True)
    ends: time


class MailSuppression(SQLModel, table=True):
    """An address that gets no mail that could be switched off, known by its keyed hash only, which is the one of
    `users.email_bidx` (reliability-and-privacy.md §3)."""

    __tablename__ = "mail_suppressions"

    address_hmac: bytes = Field(primary_key=True)
    reason: str = words()
    at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)


class Consent(Identified, table=True):
    """Append-only: the last event of a purpose is the state (reliability-and-privacy.md §4.6)."""

    __tablename__ = "consents"

    user_id: UUID = Field(foreign_key="users.id")
    purpose: str = words()
    wording: str = words()
    """Version of the text that was shown."""
    text_hash: bytes = Field()
    action: str = words()
    source: str = words()
    ip_trunc: str | None = words(default=None)

    __table_args__ = (Index("ix_consents_latest", "user_id", "purpose", text("id DESC")),)


class SmsUsage(SQLModel, table=True):
    """SMS segments a person was sent in a calendar month (UTC): what the budget of their plan is compared with."""

    __tablename__ = "sms_usage"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True)
    month: date = Field(primary_key=True)
    segments: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
