"""Money back: what a person asks for is reserved under the lock of the payment, and paid back by a workflow (§4.9)."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api import billing
from api.auth import Caller
from api.identity import Client
from api.schemas.billing_changes import RefundIn
from api.services import Services
from core.errors import NotFound
from domain.money import Money
from models.queries import billing_views
from models.queries import refunds as queries
from models.queries.clock import database_now
from models.queries.refunds import Wanted
from temporal import ids, outbox

_SHOWN: Final = "id charge_id state failure origin created_at updated_at".split()


def present(row: Mapping[str, Any], account_id: UUID) -> dict[str, Any]:
    """The document of `RefundOut`."""
    return {name: row[name] for name in _SHOWN} | {
        "amount": {"amount": row["amount_minor"], "currency": row["currency"]},
        "cancels": row["cancel_subscription_id"] is not None,
        "workflow": path_of(account_id, row["id"]),
    }


def path_of(account_id: UUID, refund_id: UUID) -> str:
    """Where the workflow tells how far it is."""
    return f"/api/v1/workflows/{ids.refund(account_id, refund_id)}"


async def ask(
    session: AsyncSession, services: Services, client: Client, caller: Caller, body: RefundIn
) -> dict[str, Any]:
    """Reserve it and start its workflow. Raises `NotFound` for a payment that is none of theirs, `RefundRefused`."""
    wanted = Wanted(
        account_id=caller.user_id,
        charge_id=await _payment(services, caller, body),
        now=await database_now(session),
        amount=Money(body.amount.amount, body.amount.currency) if body.amount else None,
        cancel=body.cancel,
    )
    refund = await queries.reserve(session, wanted)
    await outbox.ring_refund(session, caller.user_id, refund.id)
    await billing.record(session, services, client, caller, "billing.refund", f"refund:{refund.id}")
    await session.refresh(refund)
    return present(dict(refund), caller.user_id)


async def _payment(services: Services, caller: Caller, body: RefundIn) -> str:
    """The charge. Raises `NotFound`."""
    row = await billing_views.charge(services.db.reads, caller.user_id, body.charge_id)
    if row is None:
        raise NotFound("no such payment")
    return str(row["charge_id"])
