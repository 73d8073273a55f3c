"""Reminders on every channel: escalation, the dose guard, devices, preferences, receipts, feeds, zone data runs.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """New tables and columns; every new column has a default that needs no rewrite. The indexes of tables
    that grow without end are built beside the running application."""
    create_tables()
    name_reminders()
    with op.get_context().autocommit_block():
        index_what_grows()


def create_tables() -> None:
    """As `models/` says."""
    op.create_table(
        "mail_suppressions",
        sa.Column("address_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("address_hmac", name=op.f("pk_mail_suppressions")),
    )
    op.create_table(
        "zone_data_runs",
        sa.Column("tzdata_version", sa.Text(), nullable=False),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("moved", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tzdata_version", name=op.f("pk_zone_data_runs")),
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("ip_trunc", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_consents_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_latest", "consents", ["user_id", "purpose", sa.text("id DESC")], unique=False)
    op.create_table(
        "devices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("token_ct", sa.Text(), nullable=False),
        sa.Column("token_bidx", sa.LargeBinary(), nullable=False),
        sa.Column("label_ct", sa.Text(), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_devices_session_id_sessions"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_devices_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
    )
    op.create_index(op.f("ix_devices_session_id"), "devices", ["session_id"], unique=False)
    op.create_index(op.f("ix_devices_user_id"), "devices", ["user_id"], unique=False)
    op.create_index(
        "uq_devices_token", "devices", ["token_bidx"], unique=True, postgresql_where=sa.text("disabled_at IS NULL")
    )
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notification_preferences_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "category", "channel", name=op.f("pk_notification_preferences")),
    )
    op.create_table(
        "notification_settings",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("digest_frequency", sa.Text(), server_default="daily", nullable=False),
        sa.Column("digest_weekday", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("digest_at", sa.Time(), server_default=sa.text("'08:00'"), nullable=False),
        sa.Column("critical_bypass", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notification_settings_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_notification_settings")),
    )
    op.create_table(
        "quiet_hours",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("starts", sa.Time(), nullable=False),
        sa.Column("ends", sa.Time(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_quiet_hours_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "starts", name=op.f("pk_quiet_hours")),
    )
    op.create_table(
        "sms_usage",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("segments", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sms_usage_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "month", name=op.f("pk_sms_usage")),
    )
    op.create_table(
        "ics_feeds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("pet_id", sa.Uuid(), nullable=True),
        sa.Column("token_ct", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("last_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"], name=op.f("fk_ics_feeds_pet_id_pets"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_ics_feeds_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ics_feeds")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_ics_feeds_token_hash")),
    )
    op.create_index(op.f("ix_ics_feeds_user_id"), "ics_feeds", ["user_id"], unique=False)
    op.create_table(
        "doses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("reminder_id", sa.Uuid(), nullable=False),
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("override_reason_ct", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["by_user_id"], ["users.id"], name=op.f("fk_doses_by_user_id_users")),
        sa.ForeignKeyConstraint(
            ["occurrence_id"], ["occurrences.id"], name=op.f("fk_doses_occurrence_id_occurrences"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["reminder_id"], ["reminders.id"], name=op.f("fk_doses_reminder_id_reminders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_doses")),
    )
    op.create_index("ix_doses_reminder", "doses", ["reminder_id", sa.text("given_at DESC")], unique=False)
    op.create_index(
        "uq_doses_given", "doses", ["occurrence_id"], unique=True, postgresql_where=sa.text("state = 'given'")
    )
    op.create_table(
        "zone_data_moves",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tzdata_version", sa.Text(), nullable=False),
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("tzid", sa.Text(), nullable=False),
        sa.Column("from_version", sa.Text(), nullable=False),
        sa.Column("was", sa.DateTime(timezone=True), nullable=False),
        sa.Column("now", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["occurrences.id"],
            name=op.f("fk_zone_data_moves_occurrence_id_occurrences"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tzdata_version"],
            ["zone_data_runs.tzdata_version"],
            name=op.f("fk_zone_data_moves_tzdata_version_zone_data_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zone_data_moves")),
    )
    op.create_index(op.f("ix_zone_data_moves_occurrence_id"), "zone_data_moves", ["occurrence_id"], unique=False)
    op.create_index("uq_zone_data_moves", "zone_data_moves", ["tzdata_version", "occurrence_id"], unique=True)
    op.create_table(
        "delivery_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("fk_delivery_events_delivery_id_deliveries"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_delivery_events_device_id_devices"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_events")),
    )
    op.create_index("ix_delivery_events_delivery", "delivery_events", ["delivery_id", "id"], unique=False)
    op.add_column("deliveries", sa.Column("category", sa.Text(), server_default="account", nullable=False))
    op.add_column("deliveries", sa.Column("reminder_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_deliveries_reminder_id_reminders"),
        "deliveries",
        "reminders",
        ["reminder_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.add_column("deliveries", sa.Column("params_ct", sa.Text(), nullable=True))
    op.add_column("deliveries", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.add_column("deliveries", sa.Column("folded_into", sa.Uuid(), nullable=True))
    op.add_column("deliveries", sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(
        op.f("fk_deliveries_folded_into_deliveries"),
        "deliveries",
        "deliveries",
        ["folded_into"],
        ["id"],
        ondelete="SET NULL",
    )
    op.add_column("occurrences", sa.Column("round_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("occurrences", sa.Column("rung", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("occurrences", sa.Column("lead_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("reminders", sa.Column("lead_minutes", postgresql.JSONB(), nullable=True))
    op.add_column("reminders", sa.Column("steps", postgresql.JSONB(), nullable=True))
    op.add_column("reminders", sa.Column("early_window_minutes", sa.Integer(), nullable=True))
    op.add_column("reminders", sa.Column("min_gap_minutes", sa.Integer(), nullable=True))


def name_reminders() -> None:
    """Whatever waits to be sent at this moment: a handful of rows."""
    op.execute(
        "UPDATE deliveries d SET reminder_id = o.reminder_id FROM occurrences o "
        "WHERE o.id = d.occurrence_id AND d.state = 'planned'"
    )


def index_what_grows() -> None:
    """One by one, without holding up writers; outside a transaction, as Postgres asks."""
    op.create_index(
        "ix_deliveries_folded",
        "deliveries",
        ["user_id", "created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'folded' AND reason = 'digest' AND folded_into IS NULL"),
        postgresql_concurrently=True,
    )
    op.create_index(
        "ix_deliveries_provider",
        "deliveries",
        ["provider_id"],
        unique=False,
        postgresql_where=sa.text("provider_id IS NOT NULL"),
        postgresql_concurrently=True,
    )
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["reminder_id", "at"],
        unique=False,
        postgresql_where=sa.text("state IN ('planned', 'deferred')"),
        postgresql_concurrently=True,
    )
    op.create_index(
        "ix_sessions_revoked",
        "sessions",
        ["revoked_at"],
        unique=False,
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
        postgresql_concurrently=True,
    )
    op.create_index(
        "ix_occurrences_coming",
        "occurrences",
        ["instant"],
        unique=False,
        postgresql_where=sa.text("state = 'scheduled'"),
        postgresql_concurrently=True,
    )
