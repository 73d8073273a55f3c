"""Payments, disputes and the ledger: each movement of money once, however often it is read."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.billing.refund import DISPUTES_SURVIVED
from domain.money import Money
from models.billing import EntryKind

_CHARGE: Final = text(
    """INSERT INTO billing_charges (charge_id, account_id, payment_intent_id, invoice_id, subscription_id, amount_minor,
                                    currency, is_disputed, paid_at)
       VALUES (:charge, :account, :payment_intent, :invoice, :subscription, :amount, :currency, :disputed, :paid_at)
       ON CONFLICT (charge_id) DO UPDATE
          SET is_disputed = EXCLUDED.is_disputed, amount_minor = EXCLUDED.amount_minor, currency = EXCLUDED.currency,
              invoice_id = coalesce(EXCLUDED.invoice_id, billing_charges.invoice_id),
              subscription_id = coalesce(EXCLUDED.subscription_id, billing_charges.subscription_id),
              paid_at = greatest(EXCLUDED.paid_at, billing_charges.paid_at)"""
)
_KNOWN: Final = text("SELECT payment_intent_id FROM billing_charges WHERE payment_intent_id = ANY(:ids)")
_OF_ACCOUNT: Final = text(
    """SELECT charge_id, payment_intent_id, invoice_id, subscription_id, amount_minor, currency, is_disputed, paid_at
         FROM billing_charges WHERE account_id = :account ORDER BY paid_at DESC, charge_id LIMIT :limit"""
)
_FOR_INVOICE: Final = text(
    "SELECT charge_id FROM billing_charges WHERE account_id = :account AND invoice_id = :invoice LIMIT 1"
)
_OWNER: Final = text("SELECT account_id FROM billing_charges WHERE charge_id = :charge")
_DISPUTE: Final = text(
    """INSERT INTO disputes (stripe_dispute_id, account_id, charge_id, status, amount_minor, currency, opened_at)
       VALUES (:id, :account, :charge, :status, :amount, :currency, :opened_at)
       ON CONFLICT (stripe_dispute_id) DO UPDATE SET status = EXCLUDED.status"""
)
_DISPUTED: Final = text(
    """UPDATE billing_charges SET is_disputed = EXISTS (
           SELECT FROM disputes WHERE charge_id = :charge AND status <> ALL(:survived))
        WHERE charge_id = :charge"""
)
# What is there already is put right where it says something else: Stripe owns it, and a dispute may grow.
_ENTER: Final = text(
    """INSERT INTO ledger_entries AS l (kind, stripe_id, account_id, charge_id, amount_minor, currency, at)
       VALUES (:kind, :stripe_id, :account, :charge, :amount, :currency, :at)
       ON CONFLICT (kind, stripe_id) DO UPDATE SET amount_minor = EXCLUDED.amount_minor, currency = EXCLUDED.currency
        WHERE (l.amount_minor, l.currency) IS DISTINCT FROM (EXCLUDED.amount_minor, EXCLUDED.currency)
       RETURNING xmax = 0"""
)
_LEDGER: Final = text(
    """SELECT kind, stripe_id, charge_id, amount_minor, currency, at FROM ledger_entries
        WHERE account_id = :account ORDER BY at DESC, stripe_id LIMIT :limit"""
)
_ENTRIES: Final = text(
    "SELECT stripe_id, sum(amount_minor) AS amount, currency FROM ledger_entries"
    " WHERE stripe_id = ANY(:ids) AND kind = ANY(:kinds) GROUP BY stripe_id, currency"
)


async def add_charge(session: AsyncSession, account_id: UUID, charge: Mapping[str, Any]) -> None:
    """`charge, payment_intent, invoice, subscription, amount, currency, disputed, paid_at` of a payment that came
    through."""
    await session.execute(_CHARGE, {"account": account_id, **charge})


async def known_payments(session: AsyncSession, payment_intent_ids: Iterable[str]) -> frozenset[str]:
    """Those whose charge is stored already: a payment that came through stays one."""
    rows = await session.execute(_KNOWN, {"ids": list(payment_intent_ids)})
    return frozenset(rows.scalars())


async def charges_of(session: AsyncSession, account_id: UUID, limit: int = 100) -> list[Mapping[str, Any]]:
    """An account's payments, newest first."""
    rows = await session.execute(_OF_ACCOUNT, {"account": account_id, "limit": limit})
    return [dict(row) for row in rows.mappings()]


async def charge_for(session: AsyncSession, account_id: UUID, invoice_id: str) -> str | None:
    """What an invoice was paid with; None: nothing has come through so far."""
    found = await session.execute(_FOR_INVOICE, {"account": account_id, "invoice": invoice_id})
    return found.scalar_one_or_none()


async def owner_of(session: AsyncSession, charge_id: str) -> UUID | None:
    """Whose a charge is; None: we have not read it."""
    return (await session.execute(_OWNER, {"charge": charge_id})).scalar_one_or_none()


async def add_dispute(session: AsyncSession, account_id: UUID, dispute: Mapping[str, Any]) -> None:
    """`id, charge, status, amount, currency, opened_at`; its charge is paid back to nobody, unless this was survived:
    where the bank took it back for good, its person has their money."""
    await session.execute(_DISPUTE, {"account": account_id, **dispute})
    await session.execute(_DISPUTED, {"charge": dispute["charge"], "survived": list(DISPUTES_SURVIVED)})


async def enter(
    session: AsyncSession,
    kind: EntryKind,
    stripe_id: str,
    account_id: UUID,
    charge_id: str | None,
    amount: Money,
    at: datetime,
) -> bool:
    """A movement of money; False: it is in the ledger already."""
    values = {
        "kind": kind.value,
        "stripe_id": stripe_id,
        "account": account_id,
        "charge": charge_id,
        "amount": amount.amount,
        "currency": amount.currency,
        "at": at,
    }
    return bool((await session.execute(_ENTER, values)).scalar_one_or_none())


async def ledger_of(session: AsyncSession, account_id: UUID, limit: int = 200) -> list[Mapping[str, Any]]:
    """An account's movements, newest first."""
    rows = await session.execute(_LEDGER, {"account": account_id, "limit": limit})
    return [dict(row) for row in rows.mappings()]


async def entries(session: AsyncSession, stripe_ids: Sequence[str], kinds: Sequence[EntryKind]) -> Mapping[str, Money]:
    """What the ledger says of these objects of Stripe's, by their ids."""
    values = {"ids": list(stripe_ids), "kinds": [kind.value for kind in kinds]}
    rows = await session.execute(_ENTRIES, values)
    return {row.stripe_id: Money(int(row.amount), row.currency) for row in rows}
