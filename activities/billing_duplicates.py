"""What a second subscription took is paid back, once: at once, or when a debit that was on its way has come through."""

from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from activities.billing_read import Reading
from core.logging import logger
from domain.billing.refund import RefundRefused
from models.billing import RefundOrigin
from models.queries import billing_operations, refunds
from models.queries.billing_operations import Intended
from models.queries.refunds import Wanted
from temporal import outbox

log = logger(__name__)

NAMESPACE: Final = UUID("6d2f8a0e-1f0b-5c55-9b0a-6a0f5f1c7f10")
"""Of the operations that pay back: the same for the same charge."""


def surplus(account_id: UUID, subscription_id: str) -> Intended:
    """That a subscription is one too many, and is cancelled: noted before it is."""
    return Intended(account_id=account_id, kind="surplus", key=_key(subscription_id))


async def pay_back(session: AsyncSession, account_id: UUID, charge_id: str, now: datetime) -> None:
    """Reserve the refund of a charge that should not have been made, once."""
    op_id = uuid5(NAMESPACE, charge_id)
    if await refunds.by_operation(session, op_id) is not None:
        return
    wanted = Wanted(account_id=account_id, charge_id=charge_id, now=now, origin=RefundOrigin.DUPLICATE, op_id=op_id)
    try:
        refund = await refunds.reserve(session, wanted)
    except RefundRefused as refused:
        log.info("billing_duplicate_not_paid_back", account_id=str(account_id), code=refused.problem_code)
        return
    await outbox.ring_refund(session, account_id, refund.id)


async def pay_back_late(session: AsyncSession, environment: str, account_id: UUID, reading: Reading) -> None:
    """Payments that came through for a subscription that had been cancelled as one too many."""
    for paid in reading.money.paid:
        if paid.subscription_id is not None and await billing_operations.is_done(
            session, environment, _key(paid.subscription_id)
        ):
            await pay_back(session, account_id, paid.charge.id, reading.as_of)


def _key(subscription_id: str) -> str:
    return f"surplus:{subscription_id}"
