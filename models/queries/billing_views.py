"""Billing as people and operators read it. Nothing here decides; `models/queries/billing.py` writes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg

from core.db import Database
from core.read_pool import ReadPool
from models.queries.billing import TIER_NOW
from models.queries.limits import beyond, living

_STANDING: Final = f"""
SELECT u.id AS account_id, statement_timestamp() AS now, {TIER_NOW} AS tier, e.grace_until,
       s.fence, s.status, s.subscription_id, s.price_id, s.interval, s.currency, s.period_end, s.trial_end,
       s.scheduled_cancel_at, s.schedule_id, s.next_price_id, s.pending_update_expires_at, s.open_invoice_id, s.payment,
       s.decline_code, s.is_retried, s.first_failed_at, s.past_due_since, s.pay_link_ct, s.alert, s.synced_at,
       s.tier AS price_tier, e.tier AS entitled, e.fence AS entitled_fence,
       c.stripe_customer_id, c.currency AS fixed_currency, c.generation, u.locale,
       p.lookup_key, p.amount_minor, n.lookup_key AS next_lookup_key, n.tier AS next_tier, n.interval AS next_interval,
       coalesce((SELECT segments FROM sms_usage m WHERE m.user_id = u.id
                    AND m.month = date_trunc('month', now() AT TIME ZONE 'UTC')::date), 0) AS sms
  FROM users u
  LEFT JOIN entitlements e ON e.account_id = u.id
  LEFT JOIN billing_snapshots s ON s.account_id = u.id
  LEFT JOIN billing_customers c ON c.account_id = u.id
  LEFT JOIN billing_prices p ON p.price_id = s.price_id AND p.currency = s.currency
  LEFT JOIN billing_prices n ON n.price_id = s.next_price_id AND n.currency = s.currency
 WHERE u.id = $1"""  # noqa: S608 - our own words
_HOMES: Final = f"""
SELECT m.household_id,
       ARRAY(SELECT coalesce({TIER_NOW}, 'free') FROM memberships o JOIN entitlements e ON e.account_id = o.user_id
              WHERE o.household_id = m.household_id AND o.role = 'owner' AND o.left_at IS NULL) AS tiers,
       count(p.id) AS pets, count(p.id) FILTER (WHERE {beyond("p")}) AS read_only
  FROM memberships m LEFT JOIN pets p ON p.household_id = m.household_id AND {living("p")}
 WHERE m.user_id = $1 AND m.role = 'owner' AND m.left_at IS NULL
 GROUP BY m.household_id ORDER BY m.household_id"""  # noqa: S608 - our own words
_ON_SALE: Final = """
SELECT price_id, lookup_key, tier, interval, currency, amount_minor FROM billing_prices
 WHERE active AND lookup_key IS NOT NULL AND tier <> 'free'"""
_PLANS: Final = f"{_ON_SALE} ORDER BY lookup_key, currency"
_PRICE: Final = f"{_ON_SALE} AND lookup_key = $1 AND currency = $2"
_CHARGE: Final = """
SELECT c.charge_id, c.invoice_id, c.subscription_id, c.amount_minor, c.currency, c.is_disputed, c.paid_at,
       CASE WHEN c.is_disputed THEN 0 ELSE c.amount_minor - coalesce((
           SELECT sum(r.amount_minor) FROM refunds r
            WHERE r.charge_id = c.charge_id AND r.state NOT IN ('failed', 'canceled')), 0) END::bigint AS rest
  FROM billing_charges c WHERE c.account_id = $1"""
_CHARGES_OF: Final = f"{_CHARGE} AND c.invoice_id = ANY($2::text[])"
_ONE_CHARGE: Final = f"""{_CHARGE} AND ($2::text IS NULL OR c.charge_id = $2)
 ORDER BY c.paid_at DESC, c.charge_id LIMIT 1"""
_REFUNDS: Final = """
SELECT id, charge_id, amount_minor, currency, state, failure, origin, cancel_subscription_id, created_at, updated_at,
       version FROM refunds WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"""
_INTENT: Final = """
SELECT id, account_id, state FROM checkout_intents WHERE checkout_session_id = $1"""


async def standing(reads: ReadPool, account_id: UUID) -> asyncpg.Record | None:
    """Everything about an account in one row: what was read of it last, what it has, what it pays. None: no account."""
    return await reads.fetchrow(_STANDING, account_id)


async def homes(reads: ReadPool, account_id: UUID) -> Sequence[asyncpg.Record]:
    """The households that an account owns: the plans of their owners, their living pets, and how many are too many."""
    return await reads.fetch(_HOMES, account_id)


async def plans(reads: ReadPool) -> Sequence[asyncpg.Record]:
    """The prices on sale, as they were last read of Stripe."""
    return await reads.fetch(_PLANS)


async def price(reads: ReadPool, lookup_key: str, currency: str) -> asyncpg.Record | None:
    """A plan's price in one currency; None: it is not sold in it."""
    return await reads.fetchrow(_PRICE, lookup_key, currency)


async def charges_of(reads: ReadPool, account_id: UUID, invoices: Iterable[str]) -> Mapping[str, asyncpg.Record]:
    """By invoice: the payment that came through, and what is left of it."""
    return {row["invoice_id"]: row for row in await reads.fetch(_CHARGES_OF, account_id, list(invoices))}


async def charge(reads: ReadPool, account_id: UUID, charge_id: str | None) -> asyncpg.Record | None:
    """One payment of the account, by default the newest; None: it has none like that."""
    return await reads.fetchrow(_ONE_CHARGE, account_id, charge_id)


async def refunds(db: Database, account_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """Of an account, the newest first, before an id."""
    return await db.reads.fetch(_REFUNDS, account_id, before, limit)


async def visit(reads: ReadPool, session_id: str) -> asyncpg.Record | None:
    """The wish that a Checkout page was opened for."""
    return await reads.fetchrow(_INTENT, session_id)


_DONE: Final = """
SELECT params FROM billing_operations WHERE account_id = $1 AND idempotency_key = $2 AND state = 'done'"""


async def done(reads: ReadPool, account_id: UUID, key: str) -> Mapping[str, Any] | None:
    """The parameters of an operation that was done under this key; None: it was not, or not yet."""
    row = await reads.fetchrow(_DONE, account_id, key)
    return None if row is None else dict(row["params"])


_SUMS: Final = """
SELECT currency, sum(amount_minor)::bigint AS amount_minor FROM ledger_entries
 WHERE account_id = $1 GROUP BY currency ORDER BY currency"""
_DISPUTES: Final = """
SELECT stripe_dispute_id, charge_id, status, amount_minor, currency, opened_at FROM disputes
 WHERE account_id = $1 ORDER BY opened_at DESC, stripe_dispute_id LIMIT $2"""
_VISITS: Final = """
SELECT id, lookup_key, currency, checkout_session_id, state, created_at, expires_at FROM checkout_intents
 WHERE account_id = $1 ORDER BY id DESC LIMIT $2"""


async def sums(reads: ReadPool, account_id: UUID) -> Sequence[asyncpg.Record]:
    """The ledger of an account, added up by currency."""
    return await reads.fetch(_SUMS, account_id)


async def disputes(reads: ReadPool, account_id: UUID, most: int) -> Sequence[asyncpg.Record]:
    """Payments of an account that their banks took back for now, the newest first."""
    return await reads.fetch(_DISPUTES, account_id, most)


async def visits(reads: ReadPool, account_id: UUID, most: int) -> Sequence[asyncpg.Record]:
    """An account's wishes to subscribe, the newest first."""
    return await reads.fetch(_VISITS, account_id, most)
