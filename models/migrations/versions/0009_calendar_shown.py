"""What a person's calendars hold that is no appointment: kept to be shown beside the appointments.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_WAITING = """UPDATE calendar_inbox_items i SET handled = false
    FROM calendar_links l JOIN calendar_connections c ON c.id = l.connection_id
   WHERE l.id = i.calendar_link_id AND c.policy ->> 'adopt' = 'false' AND NOT i.removed
     AND NOT EXISTS (SELECT FROM event_links e
                      WHERE e.calendar_link_id = i.calendar_link_id AND e.remote_id = i.remote_id)"""


def upgrade() -> None:
    """As `models/calendar_sync.py` says. What was passed over is looked at once more."""
    op.add_column("calendar_inbox_items", sa.Column("event_ct", sa.Text(), nullable=True))
    op.add_column("calendar_inbox_items", sa.Column("starts_utc", sa.DateTime(timezone=True), nullable=True))
    op.add_column("calendar_inbox_items", sa.Column("ends_utc", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_calendar_inbox_items_shown",
        "calendar_inbox_items",
        ["calendar_link_id", "starts_utc"],
        unique=False,
        postgresql_where=sa.text("event_ct IS NOT NULL"),
    )
    op.execute(_WAITING)
