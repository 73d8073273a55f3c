"""How many pets the plan of a household holds, for statements that ask it only where the smallest plan is not enough;
and the way from an invoice to its payment.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"

# plpgsql, so that it is planned and begun only when it is called: written into the reading of a pet, the same joins
# made it half as slow again for everybody. What each plan holds is told by who asks (domain/billing/catalogue.py).
_HOLDS = """
CREATE FUNCTION household_holds(home uuid, tiers text[], pets integer[]) RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(max(pets[array_position(tiers, n.tier)]), pets[1])
              FROM memberships m JOIN entitlements n ON n.account_id = m.user_id
             WHERE m.household_id = home AND m.role = 'owner' AND m.left_at IS NULL
               AND (n.grace_until IS NULL OR n.grace_until > statement_timestamp()));
END $$"""


def upgrade() -> None:
    """See the module."""
    op.execute(_HOLDS)
    op.create_index("ix_billing_charges_invoice_id", "billing_charges", ["invoice_id"], unique=False)
