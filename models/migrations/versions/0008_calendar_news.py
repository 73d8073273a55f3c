"""Whether a calendar's list has to be read: somebody said that it may have changed there.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """As `models/calendar_sync.py` says."""
    for name in ("news", "news_read"):
        op.add_column("calendar_links", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
