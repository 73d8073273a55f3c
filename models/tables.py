"""Every table, imported once: what Alembic compares the database with."""

from sqlmodel import SQLModel

from models import audit, feed, health, household, idempotency, notification, outbox, pet, reminder, session, user

metadata = SQLModel.metadata

__all__ = [
    "audit",
    "feed",
    "health",
    "household",
    "idempotency",
    "metadata",
    "notification",
    "outbox",
    "pet",
    "reminder",
    "session",
    "user",
]
