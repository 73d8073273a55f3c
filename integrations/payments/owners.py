"""Whose an object is: the customer that Stripe names with it. Each may raise `PaymentsError`."""

from typing import Any

from integrations.payments.calls import asked
from integrations.payments.mapping import customer_of, reference


class PaymentOwners:
    """See the module. `_api` is the SDK's `client.v1`."""

    _api: Any

    async def customer_of_subscription(self, object_id: str) -> str | None:
        """Of a subscription."""
        return await asked(self._api.subscriptions.retrieve_async(object_id), customer_of)

    async def customer_of_invoice(self, object_id: str) -> str | None:
        """Of an invoice."""
        return await asked(self._api.invoices.retrieve_async(object_id), customer_of)

    async def customer_of_checkout(self, object_id: str) -> str | None:
        """Of a visit to the Checkout page."""
        return await asked(self._api.checkout.sessions.retrieve_async(object_id), customer_of)

    async def customer_of_payment(self, object_id: str) -> str | None:
        """Of a PaymentIntent."""
        return await asked(self._api.payment_intents.retrieve_async(object_id), customer_of)

    async def customer_of_charge(self, object_id: str) -> str | None:
        """Of a charge."""
        return await asked(self._api.charges.retrieve_async(object_id), customer_of)

    async def customer_of_method(self, object_id: str) -> str | None:
        """Of a payment method; none of one that was detached."""
        return await asked(self._api.payment_methods.retrieve_async(object_id), customer_of)

    async def customer_of_refund(self, object_id: str) -> str | None:
        """Of a refund, by its charge."""
        charge_id = await asked(self._api.refunds.retrieve_async(object_id), _charge)
        return await self.customer_of_charge(charge_id) if charge_id else None

    async def customer_of_dispute(self, object_id: str) -> str | None:
        """Of a dispute, by its charge."""
        charge_id = await asked(self._api.disputes.retrieve_async(object_id), _charge)
        return await self.customer_of_charge(charge_id) if charge_id else None


def _charge(document: Any) -> str | None:
    return reference(document.get("charge"))
