"""Appointments: events of a calendar of our own, and their exceptions.

Revision ID: 0006
Revises: 0005
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    """As `models/appointment.py` says."""
    op.create_table(
        "appointments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("pet_id", sa.Uuid(), nullable=True),
        *_what_it_says(),
        sa.Column("tzid", sa.Text(), nullable=True),
        sa.Column("rrule", sa.Text(), nullable=True),
        sa.Column("alarms", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("exdates", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("starts_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("adopted_link_id", sa.Uuid(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name=op.f("fk_appointments_household_id_households")
        ),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"], name=op.f("fk_appointments_pet_id_pets")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_appointments_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointments")),
    )
    op.create_index(
        "ix_appointments_household",
        "appointments",
        ["household_id", "starts_utc", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index("ix_appointments_pet", "appointments", ["pet_id", "id"], unique=False)
    op.create_index("ix_appointments_user", "appointments", ["user_id"], unique=False)
    op.create_table(
        "appointment_overrides",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("appointment_id", sa.Uuid(), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        *_what_it_says(),
        sa.ForeignKeyConstraint(
            ["appointment_id"],
            ["appointments.id"],
            name=op.f("fk_appointment_overrides_appointment_id_appointments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment_overrides")),
    )
    op.create_index("uq_appointment_overrides", "appointment_overrides", ["appointment_id", "original"], unique=True)


def _what_it_says() -> Sequence[sa.Column[object]]:
    return (
        sa.Column("title_ct", sa.Text(), nullable=False),
        sa.Column("notes_ct", sa.Text(), nullable=True),
        sa.Column("location_ct", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
    )
