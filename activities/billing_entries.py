"""What was read of an account's money becomes rows: charges, refunds, disputes, and the ledger, whose sums are those of
Stripe's balance. Each movement is entered once, however often it is read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from activities import billing_metrics
from activities.billing_movements import Movements, Paid
from core.ids import new_id
from domain.money import Money
from integrations.payments import records
from models.billing import EntryKind, Refund, RefundOrigin, RefundState
from models.queries import billing_money, refunds
from temporal import ids, outbox

_REFUND_STATES: Final[Mapping[str, RefundState]] = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.REQUIRES_ACTION,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.CANCELED,
}


async def record(session: AsyncSession, account_id: UUID, movements: Movements) -> None:
    """Write all of it. Charges come first: the others are about them."""
    for paid in movements.paid:
        await _charge(session, account_id, paid)
    for debit in movements.debits:
        await _book(session, account_id, debit)
    for refund in movements.refunds:
        await record_refund(session, account_id, refund)
    for dispute in movements.disputes:
        await _dispute(session, account_id, dispute)


async def record_refund(session: AsyncSession, account_id: UUID, refund: records.Refund) -> None:
    """A refund as Stripe has it: ours by its operation, else by its id, else an operator's. Its workflow hears of it
    when it is another than it was."""
    ours = await _find(session, account_id, refund)
    if ours is None:
        return
    state = _REFUND_STATES.get(refund.status, RefundState.PENDING)
    if await refunds.settle(session, ours.id, state, stripe_id=refund.id, failure=refund.failure):
        await outbox.ring_refund(session, account_id, ours.id)
        outbox.say_workflow(session, (account_id,), ids.refund(account_id, ours.id), "refund")
    if refund.is_booked:
        await _enter(session, EntryKind.REFUND, refund.id, account_id, ours.charge_id, -refund.amount, refund.created)
    if refund.is_booked_back:
        kind = EntryKind.REFUND_FAILURE
        await _enter(session, kind, refund.id, account_id, ours.charge_id, refund.amount, refund.created)


async def _find(session: AsyncSession, account_id: UUID, refund: records.Refund) -> Refund | None:
    """Ours, or a new row for one that an operator made; None: of a payment that we have not read, so it comes later."""
    if refund.op_id is not None and (op_id := _uuid(refund.op_id)) is not None:
        ours = await refunds.by_operation(session, op_id)
        if ours is not None:
            return ours
    known = await refunds.by_stripe_id(session, refund.id)
    if known is not None or refund.charge_id is None or refund.payment_intent_id is None:
        return known
    if await billing_money.owner_of(session, refund.charge_id) != account_id:
        return None
    return await refunds.adopt(
        session,
        Refund(
            op_id=new_id(),
            account_id=account_id,
            charge_id=refund.charge_id,
            payment_intent_id=refund.payment_intent_id,
            amount_minor=refund.amount.amount,
            currency=refund.amount.currency,
            state=RefundState.PENDING,
            stripe_refund_id=refund.id,
            origin=RefundOrigin.DASHBOARD,
        ),
    )


async def _charge(session: AsyncSession, account_id: UUID, paid: Paid) -> None:
    charge = paid.charge
    row = {
        "charge": charge.id,
        "payment_intent": charge.payment_intent_id,
        "invoice": paid.invoice_id,
        "subscription": paid.subscription_id,
        "amount": charge.captured.amount,
        "currency": charge.captured.currency,
        "disputed": charge.is_disputed,
        "paid_at": paid.at,
    }
    await billing_money.add_charge(session, account_id, row)
    await _book(session, account_id, charge)


async def _book(session: AsyncSession, account_id: UUID, charge: records.Charge) -> None:
    """As the balance has it, which is all of a debit before any of it is captured."""
    amount = charge.captured if charge.is_paid else charge.amount
    await _enter(session, EntryKind.CHARGE, charge.id, account_id, charge.id, amount, charge.created)
    if charge.is_taken_back:
        kind = EntryKind.PAYMENT_FAILURE
        await _enter(session, kind, charge.id, account_id, charge.id, -amount, charge.created)


async def _dispute(session: AsyncSession, account_id: UUID, dispute: records.Dispute) -> None:
    row = {
        "id": dispute.id,
        "charge": dispute.charge_id,
        "status": dispute.status,
        "amount": dispute.amount.amount,
        "currency": dispute.amount.currency,
        "opened_at": dispute.created,
    }
    await billing_money.add_dispute(session, account_id, row)
    for kind, amount in ((EntryKind.DISPUTE, dispute.withdrawn), (EntryKind.DISPUTE_REVERSAL, dispute.reinstated)):
        if amount.amount:
            await _enter(session, kind, dispute.id, account_id, dispute.charge_id, amount, dispute.created)


async def _enter(
    session: AsyncSession,
    kind: EntryKind,
    stripe_id: str,
    account_id: UUID,
    charge_id: str,
    amount: Money,
    at: datetime,
) -> None:
    if await billing_money.enter(session, kind, stripe_id, account_id, charge_id, amount, at):
        billing_metrics.moved(kind, amount)


def _uuid(text: str) -> UUID | None:
    """Of metadata, which anybody at the dashboard can write."""
    try:
        return UUID(text)
    except ValueError:
        return None
