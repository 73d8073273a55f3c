"""Media: contents, where they are used, how their bytes came, and how much room a household has used.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """As `models/media.py` says."""
    op.create_table(
        "media_assets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("stored_under", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("declared_type", sa.Text(), nullable=False),
        sa.Column("declared_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("object_version", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("animated", sa.Boolean(), nullable=False),
        sa.Column("keeps_captured_at", sa.Boolean(), nullable=False),
        sa.Column("captured_at_ct", sa.Text(), nullable=True),
        sa.Column("thumbhash", sa.Text(), nullable=True),
        sa.Column("plan_version", sa.Integer(), nullable=False),
        sa.Column("scan_engine", sa.Text(), nullable=True),
        sa.Column("signatures", sa.Text(), nullable=True),
        sa.Column("held", sa.Text(), nullable=False),
        sa.Column("doomed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name=op.f("fk_media_assets_household_id_households")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media_assets")),
    )
    op.create_index(
        "ix_media_assets_doomed",
        "media_assets",
        ["doomed_at"],
        unique=False,
        postgresql_where=sa.text("doomed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_media_assets_open",
        "media_assets",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'scanning')"),
    )
    op.create_index(
        "uq_media_assets_content",
        "media_assets",
        ["household_id", "sha256"],
        unique=True,
        postgresql_where=sa.text("state = 'ready' AND doomed_at IS NULL"),
    )
    op.create_table(
        "storage_usage",
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("used >= 0 AND reserved >= 0", name=op.f("ck_storage_usage_counts")),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_storage_usage_household_id_households"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("household_id", name=op.f("pk_storage_usage")),
    )
    op.create_table(
        "media_variants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["media_assets.id"], name=op.f("fk_media_variants_asset_id_media_assets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media_variants")),
    )
    op.create_index("uq_media_variants_name", "media_variants", ["asset_id", "name"], unique=True)
    op.create_table(
        "media_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("name_ct", sa.Text(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(record_id IS NOT NULL) = (purpose = 'attachment')", name=op.f("ck_media_links_place")),
        sa.ForeignKeyConstraint(["asset_id"], ["media_assets.id"], name=op.f("fk_media_links_asset_id_media_assets")),
        sa.ForeignKeyConstraint(["by_user_id"], ["users.id"], name=op.f("fk_media_links_by_user_id_users")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name=op.f("fk_media_links_household_id_households")
        ),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"], name=op.f("fk_media_links_pet_id_pets"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["health_record_ids.id"],
            name=op.f("fk_media_links_record_id_health_record_ids"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media_links")),
    )
    op.create_index(op.f("ix_media_links_asset_id"), "media_links", ["asset_id"], unique=False)
    op.create_index(
        "ix_media_links_of_pet",
        "media_links",
        ["pet_id", sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_media_links_of_record",
        "media_links",
        ["record_id", "id"],
        unique=False,
        postgresql_where=sa.text("record_id IS NOT NULL"),
    )
    op.create_index("ix_media_links_thread", "media_links", ["thread_id", "id"], unique=False)
    op.create_index(
        "uq_media_links_current",
        "media_links",
        ["thread_id"],
        unique=True,
        postgresql_where=sa.text("is_current AND deleted_at IS NULL"),
    )
    op.create_index(
        "uq_media_links_photo",
        "media_links",
        ["pet_id"],
        unique=True,
        postgresql_where=sa.text("purpose = 'profile_photo' AND is_current AND deleted_at IS NULL"),
    )
    op.create_table(
        "media_uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("multipart_id", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["media_assets.id"], name=op.f("fk_media_uploads_asset_id_media_assets"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name=op.f("fk_media_uploads_household_id_households")
        ),
        sa.ForeignKeyConstraint(
            ["link_id"], ["media_links.id"], name=op.f("fk_media_uploads_link_id_media_links"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_media_uploads_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media_uploads")),
    )
    op.create_index(op.f("ix_media_uploads_asset_id"), "media_uploads", ["asset_id"], unique=False)
    op.create_index(op.f("ix_media_uploads_link_id"), "media_uploads", ["link_id"], unique=False)
    op.create_index(
        "ix_media_uploads_open",
        "media_uploads",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    # ### end Alembic commands ###
