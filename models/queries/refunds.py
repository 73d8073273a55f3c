"""Money on its way back: reserved under the lock of its charge, so that no two refunds together exceed it (I7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.errors import NotFound
from core.ids import new_id
from domain.billing.refund import Charge, RefundRefused, before, owed, payable
from domain.money import Money
from models.billing import BillingCharge, Refund, RefundOrigin, RefundState

OPEN: Final = (RefundState.RESERVED, RefundState.PENDING, RefundState.REQUIRES_ACTION, RefundState.AMBIGUOUS)
"""Nobody knows yet how these end. Their money is not there to be paid back once more."""

OVERDUE_DAYS: Final = 1
"""By then a refund has been asked for, or somebody should know that it has not."""

_GIVEN_BACK: Final = text(
    """SELECT coalesce(sum(amount_minor), 0) FROM refunds
        WHERE charge_id = :charge AND state NOT IN ('failed', 'canceled')"""
)
_SETTLE: Final = text(
    """UPDATE refunds SET state = :state, stripe_refund_id = coalesce(:stripe_id, stripe_refund_id), failure = :failure,
              version = version + 1, updated_at = clock_timestamp()
        WHERE id = :id AND (stripe_refund_id IS NULL OR state = ANY(:before))
          AND (state, coalesce(stripe_refund_id, '')) IS DISTINCT FROM
              (:state, coalesce(:stripe_id, stripe_refund_id, ''))
       RETURNING id"""
)
_OVERDUE: Final = text(
    """UPDATE refunds SET updated_at = clock_timestamp() WHERE id IN (
           SELECT id FROM refunds
            WHERE state = 'reserved' AND updated_at < clock_timestamp() - make_interval(days => :days) LIMIT :limit)
       RETURNING account_id, id"""
)
_OF_ACCOUNT: Final = text("SELECT * FROM refunds WHERE account_id = :account ORDER BY id DESC LIMIT :limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Pay back this charge, or (`amount`) a part of it. `cancel`: the subscription that it was for ends first."""

    account_id: UUID
    charge_id: str
    now: datetime
    amount: Money | None = None
    origin: RefundOrigin = RefundOrigin.APP
    cancel: bool = False
    op_id: UUID | None = None


async def reserve(session: AsyncSession, wanted: Wanted) -> Refund:
    """The row, `reserved`; commit it before Stripe is asked, and ring its workflow (`temporal.outbox.ring_refund`) in
    the same transaction. Raises `NotFound` for a charge that is not the account's, and `RefundRefused`. What we took by
    mistake (`RefundOrigin.DUPLICATE`) has no window."""
    row = await _lock(session, wanted.charge_id)
    if row is None or row.account_id != wanted.account_id:
        raise NotFound("no such payment")
    charge = await _charge(session, row)
    is_mistake = wanted.origin is RefundOrigin.DUPLICATE
    amount = owed(charge, wanted.amount) if is_mistake else payable(charge, wanted.amount, wanted.now)
    refund = Refund(
        op_id=wanted.op_id or new_id(),
        account_id=wanted.account_id,
        charge_id=row.charge_id,
        payment_intent_id=row.payment_intent_id,
        amount_minor=amount.amount,
        currency=amount.currency,
        origin=wanted.origin,
        cancel_subscription_id=_ending(row.subscription_id, wanted, is_all=amount == charge.rest),
    )
    session.add(refund)
    await session.flush()
    return refund


def _ending(subscription_id: str | None, wanted: Wanted, *, is_all: bool) -> str | None:
    """The subscription that ends before. Whoever gets all of a payment back keeps nothing that it was for; of what we
    took by mistake nothing is left to be ended. Raises `RefundRefused`."""
    if wanted.cancel and subscription_id is None:
        raise RefundRefused("this payment was for no subscription", code="refund_no_subscription")
    is_ending = wanted.cancel or (is_all and wanted.origin is RefundOrigin.APP)
    return subscription_id if is_ending else None


async def adopt(session: AsyncSession, refund: Refund) -> Refund:
    """One that somebody made at Stripe; two who read it at once write one row."""
    values = refund.model_dump(exclude={"created_at", "updated_at"})
    await session.execute(insert(Refund).values(values).on_conflict_do_nothing(index_elements=["stripe_refund_id"]))
    found = await by_stripe_id(session, str(refund.stripe_refund_id))
    return found or refund


async def find(session: AsyncSession, refund_id: UUID) -> Refund | None:
    """One of them."""
    return await session.get(Refund, refund_id)


async def by_operation(session: AsyncSession, op_id: UUID) -> Refund | None:
    """That of a business operation: a message of Stripe's may come before our own commit."""
    return await session.scalar(select(Refund).where(col(Refund.op_id) == op_id))


async def by_stripe_id(session: AsyncSession, stripe_refund_id: str) -> Refund | None:
    """That of Stripe's."""
    return await session.scalar(select(Refund).where(col(Refund.stripe_refund_id) == stripe_refund_id))


async def settle(
    session: AsyncSession,
    refund_id: UUID,
    state: RefundState,
    *,
    stripe_id: str | None = None,
    failure: str | None = None,
) -> bool:
    """What Stripe says of it; whether anything is other than it was. What was read earlier than what stands changes
    nothing."""
    values = {
        "id": refund_id,
        "state": state.value,
        "stripe_id": stripe_id,
        "failure": failure,
        "before": [each.value for each in before(state)],
    }
    return (await session.execute(_SETTLE, values)).scalar_one_or_none() is not None


async def overdue(session: AsyncSession, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """(account, refund) of those that nobody could ask for within a day; each comes up once a day."""
    rows = await session.execute(_OVERDUE, {"days": OVERDUE_DAYS, "limit": limit})
    return [(row.account_id, row.id) for row in rows]


async def of_account(session: AsyncSession, account_id: UUID, limit: int = 100) -> list[Mapping[str, Any]]:
    """The newest of an account's."""
    rows = await session.execute(_OF_ACCOUNT, {"account": account_id, "limit": limit})
    return [dict(row) for row in rows.mappings()]


async def _lock(session: AsyncSession, charge_id: str) -> BillingCharge | None:
    return await session.scalar(
        select(BillingCharge).where(col(BillingCharge.charge_id) == charge_id).with_for_update()
    )


async def _charge(session: AsyncSession, row: BillingCharge) -> Charge:
    given_back = int(await session.scalar(_GIVEN_BACK, {"charge": row.charge_id}) or 0)
    captured = Money(row.amount_minor, row.currency)
    return Charge(captured, Money(given_back, row.currency), row.paid_at, row.is_disputed)
