"""What was found in a file, and since when one is withdrawn that was published before.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """As `models/media.py` says."""
    op.add_column("media_assets", sa.Column("threat", sa.Text(), nullable=True))
    op.add_column("media_assets", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
