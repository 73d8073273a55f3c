"""Whose an event is that names nobody we know: its object is read at Stripe, and leads to a customer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio import activity

from activities import billing_metrics
from activities.billing_owners import Owners
from core.db import SessionFactory
from models.billing import EventState
from models.queries import billing_events
from temporal import outbox
from temporal.contracts.billing_resolve import ResolveEvent

if TYPE_CHECKING:
    from integrations.payments.client import Payments


@dataclass(frozen=True, slots=True)
class BillingResolveActivities:
    """See the module."""

    sessions: SessionFactory
    payments: "Payments"

    @activity.defn
    async def resolve_event(self, request: ResolveEvent) -> None:
        """Give the event to its account and ring it; nobody's is an orphan, which an operator hears of. Raises
        `PaymentsError`."""
        async with self.sessions() as session:
            event = await billing_events.find(session, request.event_id)
        if event is None or event["state"] != EventState.RECEIVED or event["account_id"] is not None:
            return
        owners = Owners(self.sessions, self.payments)
        account_id = await owners.account_of(event["customer_id"], event["object_id"])
        async with self.sessions.begin() as session:
            if account_id is None:
                billing_metrics.ORPHANS.inc()
                await billing_events.route(session, request.event_id, None, EventState.ORPHAN)
                return
            await billing_events.route(session, request.event_id, account_id, EventState.RECEIVED)
            await outbox.ring_billing(session, account_id)
