"""The two sides of a comparison with Stripe, and what was found."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id

# An account with events that nobody has handled yet is about to be read anyway: a difference there is no drift.
_SETTLED: Final = "NOT EXISTS (SELECT FROM stripe_events v WHERE v.account_id = c.account_id AND v.state = 'received')"
_ACCOUNTS: Final = text(
    f"""SELECT c.account_id, c.stripe_customer_id, s.subscription_id, s.status, s.tier, s.price_id, s.period_end,
              s.scheduled_cancel_at, s.open_invoice_id, s.past_due_since, e.tier AS entitled, e.grace_until,
              u.subscription_tier
         FROM billing_customers c JOIN users u ON u.id = c.account_id
         LEFT JOIN billing_snapshots s ON s.account_id = c.account_id
         LEFT JOIN entitlements e ON e.account_id = c.account_id
        WHERE c.stripe_customer_id = ANY(:customers) AND {_SETTLED}"""  # noqa: S608 - our own words
)
_STRANGERS: Final = text(
    """SELECT id FROM unnest(CAST(:customers AS text[])) AS id
        WHERE NOT EXISTS (SELECT FROM billing_customers WHERE stripe_customer_id = id)"""
)
_CONFIRM: Final = text("UPDATE billing_snapshots SET confirmed_at = :at WHERE subscription_id = ANY(:ids)")
# What is left over when all of Stripe's were met; and plans of accounts that have nothing there.
_LEFT_OVER: Final = text(
    f"""SELECT c.account_id, s.subscription_id, s.status, e.tier AS entitled, u.subscription_tier
         FROM billing_customers c JOIN users u ON u.id = c.account_id
         LEFT JOIN billing_snapshots s ON s.account_id = c.account_id
         LEFT JOIN entitlements e ON e.account_id = c.account_id
        WHERE c.account_id > :after AND {_SETTLED}
          AND coalesce(greatest(s.confirmed_at, s.synced_at) < :began_at, true)
          AND (s.status NOT IN ('canceled', 'incomplete_expired')
               OR coalesce(e.tier, 'free') <> 'free' OR u.subscription_tier <> 'free')
        ORDER BY c.account_id LIMIT :limit"""  # noqa: S608 - our own words
)
_NOTE: Final = text(
    """INSERT INTO billing_drift (id, account_id, what, object_id, ours, theirs)
       VALUES (:id, :account, :what, :object_id, :ours, :theirs)"""
)
_REFUNDS: Final = text(
    """SELECT stripe_refund_id, op_id::text AS op_id, state FROM refunds
        WHERE stripe_refund_id = ANY(:ids) OR op_id::text = ANY(:op_ids)"""
)
_DISPUTES: Final = text("SELECT stripe_dispute_id, status FROM disputes WHERE stripe_dispute_id = ANY(:ids)")
_OF_ACCOUNT: Final = text(
    "SELECT what, object_id, ours, theirs, created_at FROM billing_drift"
    " WHERE account_id = :account ORDER BY id DESC LIMIT :limit"
)


async def accounts(session: AsyncSession, customer_ids: Sequence[str]) -> Mapping[str, RowMapping]:
    """What we have of these customers, by their ids, but for those who are about to be read."""
    rows = await session.execute(_ACCOUNTS, {"customers": list(customer_ids)})
    return {row["stripe_customer_id"]: row for row in rows.mappings()}


async def strangers(session: AsyncSession, customer_ids: Sequence[str]) -> frozenset[str]:
    """Those of these customers who are none of ours."""
    return frozenset((await session.execute(_STRANGERS, {"customers": list(customer_ids)})).scalars())


async def confirm(session: AsyncSession, subscription_ids: Sequence[str], at: datetime) -> None:
    """These are at Stripe."""
    await session.execute(_CONFIRM, {"ids": list(subscription_ids), "at": at})


async def left_over(session: AsyncSession, began_at: datetime, after: UUID, limit: int) -> Sequence[RowMapping]:
    """Accounts whose subscription was not met since then, or whose plan nothing stands behind."""
    values = {"began_at": began_at, "after": after, "limit": limit}
    return (await session.execute(_LEFT_OVER, values)).mappings().all()


async def note(
    session: AsyncSession, account_id: UUID | None, what: str, object_id: str | None, ours: object, theirs: object
) -> None:
    """A difference, for operators."""
    values = {"id": new_id(), "account": account_id, "what": what, "object_id": object_id}
    said = {side: None if value is None else str(value) for side, value in (("ours", ours), ("theirs", theirs))}
    await session.execute(_NOTE, {**values, **said})


async def refund_states(session: AsyncSession, stripe_ids: Sequence[str], op_ids: Sequence[str]) -> Mapping[str, str]:
    """By Stripe's id and by ours."""
    rows = await session.execute(_REFUNDS, {"ids": list(stripe_ids), "op_ids": list(op_ids)})
    found: dict[str, str] = {}
    for row in rows:
        found |= {key: row.state for key in (row.stripe_refund_id, row.op_id) if key}
    return found


async def dispute_states(session: AsyncSession, dispute_ids: Sequence[str]) -> Mapping[str, str]:
    """By id."""
    rows = await session.execute(_DISPUTES, {"ids": list(dispute_ids)})
    return {row.stripe_dispute_id: row.status for row in rows}


async def of_account(session: AsyncSession, account_id: UUID, limit: int = 50) -> list[Mapping[str, Any]]:
    """The newest, for operators."""
    rows = await session.execute(_OF_ACCOUNT, {"account": account_id, "limit": limit})
    return [dict(row) for row in rows.mappings()]
