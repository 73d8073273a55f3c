"""Whether to say when a picture was taken is up to whoever uploaded it in that place.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """As `models/media.py` says; a content was of one person until now."""
    op.add_column(
        "media_links", sa.Column("keeps_captured_at", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute(
        "UPDATE media_links l SET keeps_captured_at = true"
        " FROM media_assets m WHERE m.id = l.asset_id AND m.keeps_captured_at"
    )
    op.drop_column("media_assets", "keeps_captured_at")
