"""Whether Stripe tries a payment again that failed: nobody is promised what it has not planned. And the indexes of what
the sweep looks for every five minutes.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """As `models/billing.py` says; the next read of an account fills it."""
    op.add_column("billing_snapshots", sa.Column("is_retried", sa.Boolean(), nullable=True))
    reserved, passing = sa.text("state = 'reserved'"), sa.text("kind IN ('portal', 'preview')")
    op.create_index("ix_refunds_reserved", "refunds", ["updated_at"], postgresql_where=reserved)
    op.create_index("ix_billing_operations_passing", "billing_operations", ["created_at"], postgresql_where=passing)
