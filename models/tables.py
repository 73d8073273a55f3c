"""Every table, imported once: what Alembic compares the database with."""

from sqlmodel import SQLModel

from models import (
    absence,
    appointment,
    audit,
    billing,
    calendar_sync,
    feed,
    health,
    household,
    idempotency,
    lost,
    media,
    mfa,
    notification,
    outbox,
    pet,
    reminder,
    session,
    user,
    webhook,
)

metadata = SQLModel.metadata

__all__ = [
    "absence",
    "appointment",
    "audit",
    "billing",
    "calendar_sync",
    "feed",
    "health",
    "household",
    "idempotency",
    "lost",
    "media",
    "metadata",
    "mfa",
    "notification",
    "outbox",
    "pet",
    "reminder",
    "session",
    "user",
    "webhook",
]
