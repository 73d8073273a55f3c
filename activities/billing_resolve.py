"""Whose an event is that names nobody we know: its object is read at Stripe, and leads to a customer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from temporalio import activity

from activities import billing_metrics
from core.db import SessionFactory
from integrations.payments.errors import NotThere
from models.billing import EventState
from models.queries import billing, billing_events
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
        account_id = await self._account_of(event["customer_id"], event["object_id"])
        async with self.sessions.begin() as session:
            if account_id is None:
                billing_metrics.ORPHANS.inc()
                await billing_events.route(session, request.event_id, None, EventState.ORPHAN)
                return
            await billing_events.route(session, request.event_id, account_id, EventState.RECEIVED)
            await outbox.ring_billing(session, account_id)

    async def _account_of(self, customer_id: str | None, object_id: str | None) -> UUID | None:
        """By its customer, else by what we have read, else by what Stripe says of the object."""
        async with self.sessions() as session:
            if customer_id is not None and (known := await billing.account_of(session, customer_id)) is not None:
                return known
            if object_id is not None and (known := await billing_events.account_of_object(session, object_id)):
                return known
        found = await self._customer_of(object_id) if object_id else None
        if found is None:
            return None
        async with self.sessions() as session:
            return await billing.account_of(session, found)

    async def _customer_of(self, object_id: str) -> str | None:
        """None of an object that is not there, or of a kind that belongs to nobody."""
        ask = self._readers().get(object_id.partition("_")[0])
        if ask is None:
            return None
        try:
            return await ask(object_id)
        except NotThere:
            return None

    def _readers(self) -> Mapping[str, Callable[[str], Awaitable[str | None]]]:
        """By the prefix of an id."""
        owners = self.payments
        return {
            "sub": owners.customer_of_subscription,
            "in": owners.customer_of_invoice,
            "cs": owners.customer_of_checkout,
            "pi": owners.customer_of_payment,
            "ch": owners.customer_of_charge,
            "py": owners.customer_of_charge,
            "pm": owners.customer_of_method,
            "re": owners.customer_of_refund,
            "pyr": owners.customer_of_refund,
            "du": owners.customer_of_dispute,
            "dp": owners.customer_of_dispute,
        }
