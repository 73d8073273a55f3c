"""When a version of a file came to be shown, so that it does so once; and the index of what the sweep removes.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """As `models/media.py` says; what can be looked at has been shown."""
    op.add_column("media_links", sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE media_links l SET shown_at = l.updated_at"
        " FROM media_assets m WHERE m.id = l.asset_id AND m.state = 'ready'"
    )
    refused = sa.text("state IN ('rejected', 'quarantined') AND doomed_at IS NULL")
    op.create_index("ix_media_assets_refused", "media_assets", ["updated_at"], postgresql_where=refused)
