"""Messages of vendors about people, each handled once: Apple's notifications, Facebook's wish to delete.

Stripe has an inbox of its own (billing.md §3.1).
"""

from datetime import datetime

from sqlalchemy import text
from sqlmodel import SQLModel

from models.base import timestamptz, words


class WebhookEvent(SQLModel, table=True):
    """`event_id` is the vendor's own. A row means handled; of what it said nothing is kept."""

    __tablename__ = "webhook_events"

    provider: str = words(primary_key=True)
    event_id: str = words(primary_key=True)
    received_at: datetime = timestamptz(sa_column_kwargs={"server_default": text("clock_timestamp()")}, default=None)
    processed_at: datetime | None = timestamptz(default=None)
