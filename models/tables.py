"""Every table, imported once: what Alembic compares the database with."""

from sqlmodel import SQLModel

from models import audit, health, household, idempotency, notification, outbox, pet, reminder, session, user

metadata = SQLModel.metadata

__all__ = [
    "audit",
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
