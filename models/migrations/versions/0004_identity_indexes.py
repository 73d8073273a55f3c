"""Indexes of 0003 on tables that grow, built beside the running application.

Nothing else is here: each statement commits by itself, so an interruption leaves what was done so far, an INVALID index
perhaps, and the whole is run again. Hence each is dropped first.

Revision ID: 0004
Revises: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """For the log of a household, for sealing it in order of time, and for the sweep of what sessions no longer
    need."""
    with op.get_context().autocommit_block():
        build("ix_audit_log_household", "audit_log", ["household", "id"])
        build("ix_audit_log_ts", "audit_log", ["ts", "id"])
        build("ix_sessions_replay", "sessions", ["rotated_at"], postgresql_where=sa.text("replay_ct IS NOT NULL"))
        build("ix_retired_refresh_retired_at", "retired_refresh", ["retired_at"], postgresql_using="brin")


def build(name: str, table: str, columns: list[str], **options: Any) -> None:
    """Anew, whatever an interrupted run has left of it."""
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
    op.create_index(name, table, columns, postgresql_concurrently=True, **options)
