"""Whose an object of Stripe's is: of what we have read, else by the customer that Stripe names."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core.db import SessionFactory
from integrations.payments.errors import NotThere
from models.queries import billing, billing_events

if TYPE_CHECKING:
    from integrations.payments.client import Payments


@dataclass(frozen=True, slots=True)
class Owners:
    """See the module. Raises `PaymentsError`."""

    sessions: SessionFactory
    payments: "Payments"

    async def account_of(self, customer_id: str | None, object_id: str | None) -> UUID | None:
        """None: nobody's of ours."""
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
        payments = self.payments
        return {
            "sub": payments.customer_of_subscription,
            "in": payments.customer_of_invoice,
            "cs": payments.customer_of_checkout,
            "pi": payments.customer_of_payment,
            "ch": payments.customer_of_charge,
            "py": payments.customer_of_charge,
            "pm": payments.customer_of_method,
            "re": payments.customer_of_refund,
            "pyr": payments.customer_of_refund,
            "du": payments.customer_of_dispute,
            "dp": payments.customer_of_dispute,
        }
