"""Accounts at Stripe: whose a customer is, what was read of it, and what it is entitled to.

A snapshot, its entitlement and the account's tier are one transaction, under a fence: whoever finds a newer one writes
nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.billing.catalogue import Tier
from domain.billing.standing import Entitlement, tier_at
from models.billing import BillingCustomer, BillingSnapshot

TIER_NOW: Final = """CASE WHEN e.grace_until <= clock_timestamp() THEN 'free' ELSE coalesce(e.tier, 'free') END"""
"""What an account has now, of `entitlements e` (joined from the left: most accounts have no row)."""

# Together with the customer's own row (`FOR UPDATE`), a second creator finds the first one's.
_ADD_CUSTOMER: Final = text(
    """INSERT INTO billing_customers (account_id, stripe_customer_id, generation, livemode)
       VALUES (:account, :customer, :generation, :livemode)
       ON CONFLICT (account_id) DO UPDATE
          SET stripe_customer_id = EXCLUDED.stripe_customer_id, generation = EXCLUDED.generation, currency = NULL
        WHERE billing_customers.generation < EXCLUDED.generation"""
)
_CURRENCY: Final = text("UPDATE billing_customers SET currency = :currency WHERE account_id = :account")
_RECOUNT: Final = text("UPDATE billing_customers SET recount = :recount WHERE account_id = :account")
_ENTITLE: Final = text(
    """INSERT INTO entitlements (account_id, fence, tier, grace_until) VALUES (:account, :fence, :tier, :grace_until)
       ON CONFLICT (account_id) DO UPDATE
          SET fence = EXCLUDED.fence, tier = EXCLUDED.tier, grace_until = EXCLUDED.grace_until"""
)
_PROJECT: Final = text(
    """UPDATE users SET subscription_tier = :tier, version = version + 1, updated_at = clock_timestamp()
        WHERE id = :account AND subscription_tier <> :tier"""
)
_ENTITLEMENT: Final = text("SELECT tier, grace_until FROM entitlements WHERE account_id = :account")


async def customer(session: AsyncSession, account_id: UUID) -> BillingCustomer | None:
    """The account's customer at Stripe; None before its first Checkout."""
    return await session.get(BillingCustomer, account_id)


async def add_customer(
    session: AsyncSession, account_id: UUID, customer_id: str, *, generation: int, livemode: bool
) -> None:
    """The account is this customer from now on. One of the same generation or a later one stays."""
    values = {"account": account_id, "customer": customer_id, "generation": generation, "livemode": livemode}
    await session.execute(_ADD_CUSTOMER, values)


async def account_of(session: AsyncSession, customer_id: str) -> UUID | None:
    """Whose this customer is; None: none of ours. The only way from Stripe to an account."""
    return await session.scalar(
        select(col(BillingCustomer.account_id)).where(col(BillingCustomer.stripe_customer_id) == customer_id)
    )


async def fix_currency(session: AsyncSession, account_id: UUID, currency: str | None) -> None:
    """What the account pays in: its first subscription or invoice decided it."""
    await session.execute(_CURRENCY, {"account": account_id, "currency": currency})


async def want_recount(session: AsyncSession, account_id: UUID, *, recount: bool = True) -> None:
    """The next read goes through all invoices of the account (or: it has)."""
    await session.execute(_RECOUNT, {"account": account_id, "recount": recount})


async def snapshot(session: AsyncSession, account_id: UUID) -> BillingSnapshot | None:
    """What was last read; None: nothing yet."""
    return await session.get(BillingSnapshot, account_id)


async def entitlement(session: AsyncSession, account_id: UUID) -> Entitlement:
    """What the account has, to be compared with a clock (`domain.billing.standing.tier_at`)."""
    row = (await session.execute(_ENTITLEMENT, {"account": account_id})).one_or_none()
    return Entitlement(Tier(row.tier), row.grace_until) if row else Entitlement()


async def save_snapshot(session: AsyncSession, read: Mapping[str, Any]) -> bool:
    """Store a read with its `fence`; False: a newer one, or this one, is stored already. Then write nothing else."""
    row = insert(BillingSnapshot).values(dict(read))
    stored = await session.execute(
        row.on_conflict_do_update(
            index_elements=["account_id"],
            set_={name: row.excluded[name] for name in read if name != "account_id"},
            where=col(BillingSnapshot.fence) < row.excluded.fence,
        ).returning(col(BillingSnapshot.account_id))
    )
    return stored.scalar_one_or_none() is not None


async def entitle(session: AsyncSession, account_id: UUID, fence: int, granted: Entitlement, as_of: datetime) -> None:
    """What follows from the read with this fence, after `save_snapshot` has stored it."""
    values = {"account": account_id, "fence": fence, "tier": granted.tier.value, "grace_until": granted.grace_until}
    await session.execute(_ENTITLE, values)
    await session.execute(_PROJECT, {"account": account_id, "tier": tier_at(granted, as_of).value})


READ: Final = frozenset(BillingSnapshot.model_fields) - {"confirmed_at"}
"""The columns that a read fills, all of them each time: what it left out would stay from the one before."""
