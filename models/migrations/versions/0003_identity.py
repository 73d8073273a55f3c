"""Identity and sharing: second factors, identities elsewhere, invitations, grants, lost pets, the sealed audit log.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

VIEW = """
CREATE VIEW pet_access (user_id, household_id, pet_id, role, actions) AS
    SELECT m.user_id, m.household_id, NULL::uuid, m.role, NULL::text[]
      FROM memberships m WHERE m.left_at IS NULL
    UNION ALL
    SELECT g.user_id, g.household_id, scope.pet_id, g.kind, g.actions
      FROM grants g CROSS JOIN LATERAL unnest(g.pet_ids) AS scope (pet_id)
     WHERE g.kind = 'sitter' AND g.user_id IS NOT NULL AND g.revoked_at IS NULL
       AND g.valid_from <= statement_timestamp() AND statement_timestamp() < g.valid_until
       AND NOT EXISTS (SELECT FROM memberships m
                        WHERE m.user_id = g.user_id AND m.household_id = g.household_id AND m.left_at IS NULL)
    UNION ALL
    SELECT b.staff_id, b.household_id, NULL::uuid, 'admin', NULL::text[]
      FROM break_glass b JOIN users s ON s.id = b.staff_id AND s.is_staff AND s.state = 'active'
     WHERE b.ended_at IS NULL AND statement_timestamp() < b.expires_at
       AND NOT EXISTS (SELECT FROM memberships m
                        WHERE m.user_id = b.staff_id AND m.household_id = b.household_id AND m.left_at IS NULL)"""
"""How a person comes to a household's things (`models/queries/access.py`)."""


def upgrade() -> None:
    """New tables and columns; every new column has a default that needs no rewrite. Indexes of tables that grow are
    built by 0004."""
    create_tables()
    op.execute(VIEW)
    guard_seals()
    assume_solid_state()


def guard_seals() -> None:
    """Append-only as the log they seal, and the application may not even try."""
    role = context.get_x_argument(as_dictionary=True)["app_role"]
    op.execute(f'GRANT SELECT ON pet_access TO "{role}"')
    for table in ("audit_seals", "audit_verifications"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f'REVOKE UPDATE, DELETE ON {table} FROM "{role}"')


def assume_solid_state() -> None:
    """The planner's usual price of a random page is that of a disk with an arm: with it, what belongs to one household
    is found by reading a table whole until the table is large."""
    database = op.get_bind().engine.url.database
    op.execute(f'ALTER DATABASE "{database}" SET random_page_cost = 1.1')


def create_tables() -> None:
    """As `models/` says."""
    op.create_table(
        "audit_seals",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("after_ts", sa.DateTime(timezone=True), nullable=True),
        sa.Column("after_id", sa.Uuid(), nullable=True),
        sa.Column("last_ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_id", sa.Uuid(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_seals")),
    )
    op.create_table(
        "audit_verifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("seals", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("broken_seq", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_verifications")),
    )
    op.create_table(
        "webhook_events",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column(
            "received_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("provider", "event_id", name=op.f("pk_webhook_events")),
    )
    op.create_table(
        "auth_challenges",
        sa.Column("id_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=True),
        sa.Column("payload_ct", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_auth_challenges_user_id_users")),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_auth_challenges")),
    )
    op.create_index("ix_auth_challenges_expires", "auth_challenges", ["expires_at"], unique=False)
    op.create_index("ix_auth_challenges_user", "auth_challenges", ["user_id"], unique=False)
    op.create_table(
        "auth_identities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("email_ct", sa.Text(), nullable=True),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("refresh_token_ct", sa.Text(), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_auth_identities_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_identities")),
    )
    op.create_index(op.f("ix_auth_identities_user_id"), "auth_identities", ["user_id"], unique=False)
    op.create_index("uq_auth_identities_subject", "auth_identities", ["issuer", "subject"], unique=True)
    op.create_table(
        "break_glass",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("reason_ct", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name=op.f("fk_break_glass_household_id_households")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["users.id"], name=op.f("fk_break_glass_staff_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_glass")),
    )
    op.create_index(op.f("ix_break_glass_household_id"), "break_glass", ["household_id"], unique=False)
    op.create_index("ix_break_glass_staff", "break_glass", ["staff_id", "expires_at"], unique=False)
    op.create_table(
        "device_cookies",
        sa.Column("id_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("fails", sa.Integer(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_device_cookies_user_id_users")),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_device_cookies")),
    )
    op.create_index(op.f("ix_device_cookies_user_id"), "device_cookies", ["user_id"], unique=False)
    op.create_index(
        "ix_device_cookies_created_at", "device_cookies", ["created_at"], unique=False, postgresql_using="brin"
    )
    op.create_table(
        "email_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("address_ct", sa.Text(), nullable=False),
        sa.Column("address_bidx", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_email_changes_user_id_users")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_email_changes_session_id_sessions"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_changes")),
    )
    op.create_index(op.f("ix_email_changes_session_id"), "email_changes", ["session_id"], unique=False)
    op.create_index(
        "uq_email_changes_open",
        "email_changes",
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("confirmed_at IS NULL AND dropped_at IS NULL"),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("email_ct", sa.Text(), nullable=True),
        sa.Column("email_bidx", sa.LargeBinary(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("mailed", sa.Boolean(), nullable=False),
        sa.Column("mail_problem", sa.Text(), nullable=True),
        sa.Column("mail_key", sa.Uuid(), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("token_ct", sa.Text(), nullable=True),
        sa.Column("label_ct", sa.Text(), nullable=True),
        sa.Column("pet_ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("actions", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("declined", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("summarised_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["granted_by"], ["users.id"], name=op.f("fk_grants_granted_by_users")),
        sa.ForeignKeyConstraint(["household_id"], ["households.id"], name=op.f("fk_grants_household_id_households")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_grants_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sa.UniqueConstraint("mail_key", name=op.f("uq_grants_mail_key")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_grants_token_hash")),
    )
    op.create_index("ix_grants_household", "grants", ["household_id", "id"], unique=False)
    op.create_index(
        "ix_grants_user", "grants", ["user_id"], unique=False, postgresql_where=sa.text("revoked_at IS NULL")
    )
    op.create_index(
        "ix_grants_offered",
        "grants",
        ["email_bidx"],
        unique=False,
        postgresql_where=sa.text("user_id IS NULL AND revoked_at IS NULL"),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("email_ct", sa.Text(), nullable=False),
        sa.Column("email_bidx", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("mailing", sa.Integer(), nullable=False),
        sa.Column("mailed", sa.Integer(), nullable=False),
        sa.Column("mail_problem", sa.Text(), nullable=True),
        sa.Column("mail_key", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["accepted_by"], ["users.id"], name=op.f("fk_invitations_accepted_by_users")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name=op.f("fk_invitations_household_id_households")
        ),
        sa.ForeignKeyConstraint(["invited_by"], ["users.id"], name=op.f("fk_invitations_invited_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("mail_key", name=op.f("uq_invitations_mail_key")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_index(
        "ix_invitations_household", "invitations", ["household_id", sa.literal_column("id DESC")], unique=False
    )
    op.create_index(
        "uq_invitations_open",
        "invitations",
        ["household_id", "email_bidx"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "mfa_recovery_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("batch", sa.Uuid(), nullable=False),
        sa.Column("code_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mfa_recovery_codes_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mfa_recovery_codes")),
        sa.UniqueConstraint("code_hmac", name=op.f("uq_mfa_recovery_codes_code_hmac")),
    )
    op.create_index(op.f("ix_mfa_recovery_codes_user_id"), "mfa_recovery_codes", ["user_id"], unique=False)
    op.create_table(
        "mfa_totp",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret_ct", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mfa_totp_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_mfa_totp")),
    )
    op.create_table(
        "webauthn_credentials",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("name_ct", sa.Text(), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_webauthn_credentials_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webauthn_credentials")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_webauthn_credentials_credential_id")),
    )
    op.create_index(op.f("ix_webauthn_credentials_user_id"), "webauthn_credentials", ["user_id"], unique=False)
    op.create_table(
        "grant_access_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=True),
        sa.Column("ip_trunc", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grants.id"], name=op.f("fk_grant_access_log_grant_id_grants"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant_access_log")),
    )
    op.create_index(
        "ix_grant_access_log_grant", "grant_access_log", ["grant_id", sa.literal_column("id DESC")], unique=False
    )
    op.create_table(
        "lost_cases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("opened_by", sa.Uuid(), nullable=False),
        sa.Column("shown", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("note_ct", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "answered_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.Column("wiped_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["closed_by"], ["users.id"], name=op.f("fk_lost_cases_closed_by_users")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name=op.f("fk_lost_cases_household_id_households")
        ),
        sa.ForeignKeyConstraint(["opened_by"], ["users.id"], name=op.f("fk_lost_cases_opened_by_users")),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"], name=op.f("fk_lost_cases_pet_id_pets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lost_cases")),
    )
    op.create_index("ix_lost_cases_household", "lost_cases", ["household_id", "id"], unique=False)
    op.create_index("ix_lost_cases_pet", "lost_cases", ["pet_id", sa.literal_column("id DESC")], unique=False)
    op.create_index(
        "ix_lost_cases_unfinished", "lost_cases", ["id"], unique=False, postgresql_where=sa.text("wiped_at IS NULL")
    )
    op.create_index(
        "uq_lost_cases_open", "lost_cases", ["pet_id"], unique=True, postgresql_where=sa.text("state = 'open'")
    )
    op.create_table(
        "pet_tags",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("shown", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("note_ct", sa.Text(), nullable=True),
        sa.Column("care_note_ct", sa.Text(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["users.id"], name=op.f("fk_pet_tags_contact_id_users")),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"], name=op.f("fk_pet_tags_pet_id_pets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pet_tags")),
        sa.UniqueConstraint("code", name=op.f("uq_pet_tags_code")),
    )
    op.create_index(op.f("ix_pet_tags_pet_id"), "pet_tags", ["pet_id"], unique=False)
    op.create_index(
        "uq_pet_tags_active", "pet_tags", ["pet_id"], unique=True, postgresql_where=sa.text("revoked_at IS NULL")
    )
    op.create_table(
        "pet_transfers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("from_household_id", sa.Uuid(), nullable=False),
        sa.Column("offered_by", sa.Uuid(), nullable=False),
        sa.Column("email_ct", sa.Text(), nullable=False),
        sa.Column("email_bidx", sa.LargeBinary(), nullable=False),
        sa.Column("to_household_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("mailed", sa.Integer(), nullable=False),
        sa.Column("mail_problem", sa.Text(), nullable=True),
        sa.Column("mail_key", sa.Uuid(), nullable=True),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["decided_by"], ["users.id"], name=op.f("fk_pet_transfers_decided_by_users")),
        sa.ForeignKeyConstraint(
            ["from_household_id"], ["households.id"], name=op.f("fk_pet_transfers_from_household_id_households")
        ),
        sa.ForeignKeyConstraint(["offered_by"], ["users.id"], name=op.f("fk_pet_transfers_offered_by_users")),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"], name=op.f("fk_pet_transfers_pet_id_pets")),
        sa.ForeignKeyConstraint(
            ["to_household_id"], ["households.id"], name=op.f("fk_pet_transfers_to_household_id_households")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pet_transfers")),
        sa.UniqueConstraint("mail_key", name=op.f("uq_pet_transfers_mail_key")),
    )
    op.create_index("ix_pet_transfers_decided_by", "pet_transfers", ["decided_by"], unique=False)
    op.create_index(
        "ix_pet_transfers_household",
        "pet_transfers",
        ["from_household_id", sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(op.f("ix_pet_transfers_pet_id"), "pet_transfers", ["pet_id"], unique=False)
    op.create_index("ix_pet_transfers_recipient", "pet_transfers", ["email_bidx"], unique=False)
    op.create_index(
        "uq_pet_transfers_open", "pet_transfers", ["pet_id"], unique=True, postgresql_where=sa.text("state = 'offered'")
    )
    op.create_table(
        "sightings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("message_ct", sa.Text(), nullable=True),
        sa.Column("place_ct", sa.Text(), nullable=True),
        sa.Column("contact_ct", sa.Text(), nullable=True),
        sa.Column("wiped_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["lost_cases.id"], name=op.f("fk_sightings_case_id_lost_cases")),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"], name=op.f("fk_sightings_pet_id_pets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sightings")),
    )
    op.create_index(op.f("ix_sightings_case_id"), "sightings", ["case_id"], unique=False)
    op.create_index("ix_sightings_pet", "sightings", ["pet_id", sa.literal_column("id DESC")], unique=False)
    op.create_index(
        "ix_sightings_stray",
        "sightings",
        ["id"],
        unique=False,
        postgresql_where=sa.text("case_id IS NULL AND wiped_at IS NULL"),
    )
    op.add_column("audit_log", sa.Column("household", sa.Text(), nullable=True))
    op.add_column("sessions", sa.Column("in_cookie", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("users", sa.Column("is_staff", sa.Boolean(), server_default=sa.text("false"), nullable=False))
