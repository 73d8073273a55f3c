"""Connected calendars, their events in pairs with ours, and what both sides had changed at once.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """As `models/calendar_sync.py` says."""
    op.create_table(
        "calendar_connections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("account_ct", sa.Text(), nullable=False),
        sa.Column("account_bidx", sa.LargeBinary(), nullable=False),
        sa.Column("credential_ct", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("policy", postgresql.JSONB(), nullable=False),
        sa.Column("remove_copies", sa.Boolean(), nullable=False),
        sa.Column("disconnected_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "provider IN ('google', 'microsoft', 'caldav')", name=op.f("ck_calendar_connections_provider")
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name=op.f("fk_calendar_connections_household_id_households")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_calendar_connections_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_connections")),
    )
    op.create_index(
        "uq_calendar_connections_account", "calendar_connections", ["user_id", "provider", "account_bidx"], unique=True
    )
    op.create_table(
        "calendar_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("remote_calendar_id", sa.Text(), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("cursor_shape_version", sa.Integer(), nullable=False),
        sa.Column("page_state", sa.Text(), nullable=True),
        sa.Column("full_sync_in_progress", sa.Boolean(), nullable=False),
        sa.Column("full_epoch", sa.Integer(), nullable=False),
        sa.Column("full_listed", sa.Integer(), nullable=True),
        sa.Column("last_full_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_ok_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_poll_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("push_channels", postgresql.JSONB(), nullable=False),
        sa.Column("health", sa.Text(), nullable=False),
        sa.Column("deletes_confirmed", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["calendar_connections.id"],
            name=op.f("fk_calendar_links_connection_id_calendar_connections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_calendar_links_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_links")),
    )
    op.create_index("ix_calendar_links_user", "calendar_links", ["user_id"], unique=False)
    op.create_index(
        "uq_calendar_links_calendar", "calendar_links", ["connection_id", "remote_calendar_id"], unique=True
    )
    op.create_table(
        "calendar_inbox_items",
        sa.Column("calendar_link_id", sa.Uuid(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("payload_ct", sa.Text(), nullable=True),
        sa.Column("payload_etag", sa.Text(), nullable=True),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("seen_in_full_epoch", sa.Integer(), nullable=False),
        sa.Column("handled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["calendar_link_id"],
            ["calendar_links.id"],
            name=op.f("fk_calendar_inbox_items_calendar_link_id_calendar_links"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("calendar_link_id", "remote_id", name=op.f("pk_calendar_inbox_items")),
    )
    op.create_index(
        "ix_calendar_inbox_items_open",
        "calendar_inbox_items",
        ["calendar_link_id"],
        unique=False,
        postgresql_where=sa.text("NOT handled"),
    )
    op.create_table(
        "event_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("calendar_link_id", sa.Uuid(), nullable=False),
        sa.Column("appointment_id", sa.Uuid(), nullable=True),
        sa.Column("reminder_id", sa.Uuid(), nullable=True),
        sa.Column(
            "local_id", sa.Uuid(), sa.Computed("coalesce(appointment_id, reminder_id)", persisted=True), nullable=True
        ),
        sa.Column("part", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("remote_etag", sa.Text(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("agreed_ct", sa.Text(), nullable=True),
        sa.Column("intent_ct", sa.Text(), nullable=True),
        sa.Column("local_version_at_base", sa.BigInteger(), nullable=False),
        sa.Column("delays", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("(appointment_id IS NULL) <> (reminder_id IS NULL)", name=op.f("ck_event_links_one_local")),
        sa.ForeignKeyConstraint(
            ["appointment_id"],
            ["appointments.id"],
            name=op.f("fk_event_links_appointment_id_appointments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["calendar_link_id"],
            ["calendar_links.id"],
            name=op.f("fk_event_links_calendar_link_id_calendar_links"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["reminder_id"], ["reminders.id"], name=op.f("fk_event_links_reminder_id_reminders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_links")),
    )
    op.create_index("ix_event_links_appointment", "event_links", ["appointment_id"], unique=False)
    op.create_index("ix_event_links_reminder", "event_links", ["reminder_id"], unique=False)
    op.create_index(
        "uq_event_links_local",
        "event_links",
        ["calendar_link_id", "local_id", "part"],
        unique=True,
        postgresql_where=sa.text("state <> 'dead'"),
    )
    op.create_index("uq_event_links_remote", "event_links", ["calendar_link_id", "remote_id"], unique=True)
    op.create_table(
        "calendar_conflicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("event_link_id", sa.Uuid(), nullable=False),
        sa.Column("calendar_link_id", sa.Uuid(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("original", sa.Text(), nullable=True),
        sa.Column("values_ct", sa.Text(), nullable=False),
        sa.Column("winner", sa.Text(), nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["calendar_link_id"],
            ["calendar_links.id"],
            name=op.f("fk_calendar_conflicts_calendar_link_id_calendar_links"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["event_link_id"],
            ["event_links.id"],
            name=op.f("fk_calendar_conflicts_event_link_id_event_links"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_conflicts")),
    )
    op.create_index(op.f("ix_calendar_conflicts_event_link_id"), "calendar_conflicts", ["event_link_id"], unique=False)
    op.create_index(
        "ix_calendar_conflicts_link",
        "calendar_conflicts",
        ["calendar_link_id", sa.literal_column("id DESC")],
        unique=False,
    )
