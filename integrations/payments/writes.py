"""What is written at Stripe. Each takes the parameters that were stored with the operation (`requests`) and its key;
repeated under the same key it is done once. Each may raise `PaymentsError`."""

from typing import Any

from integrations.payments import mapping, records
from integrations.payments.calls import asked
from integrations.payments.errors import Refused
from integrations.payments.requests import Params

_NEVER_ANYTHING: Params = {}


class PaymentWrites:
    """See the module. `_api` is the SDK's `client.v1`."""

    _api: Any

    async def create_customer(self, params: Params, key: str) -> records.Customer:
        """An account's customer."""
        return await asked(self._api.customers.create_async(params, _under(key)), mapping.customer)

    async def update_customer(self, customer_id: str, params: Params, key: str) -> records.Customer:
        """Its default payment method."""
        return await asked(self._api.customers.update_async(customer_id, params, _under(key)), mapping.customer)

    async def create_checkout(self, params: Params, key: str) -> records.CheckoutSession:
        """A Checkout page."""
        call = self._api.checkout.sessions.create_async(params, _under(key))
        return await asked(call, mapping.checkout_session)

    async def expire_checkout(self, session_id: str, key: str) -> records.CheckoutSession:
        """Close a page. Raises `Refused` for one that is not open any more."""
        call = self._api.checkout.sessions.expire_async(session_id, _NEVER_ANYTHING, _under(key))
        return await asked(call, mapping.checkout_session)

    async def open_portal(self, params: Params, key: str) -> str:
        """The address of a page on which one's subscription is managed; whoever has it can use it."""
        return await asked(self._api.billing_portal.sessions.create_async(params, _under(key)), _url)

    async def preview(self, params: Params, key: str) -> records.Preview:
        """What a change would cost. Changes nothing, and is a POST all the same."""
        return await asked(self._api.invoices.create_preview_async(params, _under(key)), mapping.preview)

    async def update_subscription(self, subscription_id: str, params: Params, key: str) -> records.Subscription:
        """Another plan, a cancel or its end, another payment method."""
        call = self._api.subscriptions.update_async(subscription_id, params, _under(key))
        return await asked(call, mapping.subscription)

    async def cancel_now(self, subscription_id: str) -> records.Subscription:
        """End it at once, without a credit. One that has ended, or is gone, is as good as ended: a repeated cancel has
        no key, so it reads what is there. Raises `NotThere` for one that never was."""
        call = self._api.subscriptions.cancel_async(subscription_id, {"prorate": False, "invoice_now": False})
        try:
            return await asked(call, mapping.subscription)
        except Refused:
            found = await asked(self._api.subscriptions.retrieve_async(subscription_id), mapping.subscription)
            if found.status not in ("canceled", "incomplete_expired"):
                raise
            return found

    async def create_schedule(self, params: Params, key: str) -> records.Schedule:
        """A schedule, as its subscription is."""
        return await asked(self._api.subscription_schedules.create_async(params, _under(key)), mapping.schedule)

    async def update_schedule(self, schedule_id: str, params: Params, key: str) -> records.Schedule:
        """Its phases."""
        call = self._api.subscription_schedules.update_async(schedule_id, params, _under(key))
        return await asked(call, mapping.schedule)

    async def release_schedule(self, schedule_id: str, key: str) -> records.Schedule:
        """Leave the subscription as it is: the change that was planned is not made."""
        call = self._api.subscription_schedules.release_async(schedule_id, _NEVER_ANYTHING, _under(key))
        return await asked(call, mapping.schedule)

    async def pay_invoice(self, invoice_id: str, params: Params, key: str) -> records.Invoice:
        """Charge now. Raises `Declined`, and `Refused` for one that is paid or void."""
        return await asked(self._api.invoices.pay_async(invoice_id, params, _under(key)), mapping.invoice)

    async def void_invoice(self, invoice_id: str, key: str) -> records.Invoice:
        """Nobody owes it any more."""
        call = self._api.invoices.void_invoice_async(invoice_id, _NEVER_ANYTHING, _under(key))
        return await asked(call, mapping.invoice)

    async def create_refund(self, params: Params, key: str) -> records.Refund:
        """Pay back."""
        return await asked(self._api.refunds.create_async(params, _under(key)), mapping.refund)


def _under(key: str) -> dict[str, str]:
    return {"idempotency_key": key}


def _url(document: Params) -> str:
    return str(document["url"])
