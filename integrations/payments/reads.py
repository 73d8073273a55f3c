"""What is read at Stripe. Each may raise `PaymentsError`; none changes anything."""

from datetime import datetime
from typing import Any, Final

from integrations.payments import mapping, records
from integrations.payments.calls import PAGE, all_of, asked, page_of
from integrations.payments.records import Page

_WITH_INVOICE: Final = ["data.latest_invoice.payments"]
"""Four levels are as deep as Stripe expands."""
_WHOLE: Final = [*_WITH_INVOICE, "data.test_clock"]
_WITH_PAYMENTS: Final = ["data.payments"]


class PaymentReads:
    """See the module. `_api` is the SDK's `client.v1`."""

    _api: Any

    async def subscriptions_of(self, customer_id: str) -> tuple[records.Subscription, ...]:
        """All of a customer's, whatever their status, newest first, with their latest invoices and clocks."""
        params = {"customer": customer_id, "status": "all", "limit": PAGE, "expand": _WHOLE}
        return await all_of(self._api.subscriptions.list_async(params), mapping.subscription)

    async def subscriptions(self, after: str | None) -> Page[records.Subscription]:
        """Everybody's, a page at a time."""
        params = {"status": "all", "expand": _WITH_INVOICE, **_from(after)}
        return await page_of(self._api.subscriptions.list_async(params), mapping.subscription)

    async def subscription(self, subscription_id: str) -> records.Subscription:
        """One. Its latest invoice is an id."""
        return await asked(self._api.subscriptions.retrieve_async(subscription_id), mapping.subscription)

    async def schedule(self, schedule_id: str) -> records.Schedule:
        """A change at the end of a period."""
        return await asked(self._api.subscription_schedules.retrieve_async(schedule_id), mapping.schedule)

    async def price(self, price_id: str) -> records.Price:
        """With the metadata of its product."""
        return await asked(self._api.prices.retrieve_async(price_id, {"expand": ["product"]}), mapping.price)

    async def prices(self) -> tuple[records.Price, ...]:
        """All recurring ones, with their currencies and the metadata of their products."""
        params = {"type": "recurring", "limit": PAGE, "expand": ["data.currency_options", "data.product"]}
        return await all_of(self._api.prices.list_async(params), mapping.price)

    async def invoice(self, invoice_id: str) -> records.Invoice:
        """With its payments."""
        return await asked(self._api.invoices.retrieve_async(invoice_id, {"expand": ["payments"]}), mapping.invoice)

    async def invoices_of(self, customer_id: str) -> tuple[records.Invoice, ...]:
        """All of a customer's, with their payments."""
        params = {"customer": customer_id, "limit": PAGE, "expand": _WITH_PAYMENTS}
        return await all_of(self._api.invoices.list_async(params), mapping.invoice)

    async def newest_invoices_of(self, customer_id: str, after: str | None = None) -> Page[records.Invoice]:
        """A page of them, for their person."""
        return await page_of(self._api.invoices.list_async({"customer": customer_id, **_from(after)}), mapping.invoice)

    async def open_invoices(self, after: str | None) -> Page[records.Invoice]:
        """Everybody's that are owed, a page at a time."""
        return await page_of(self._api.invoices.list_async({"status": "open", **_from(after)}), mapping.invoice)

    async def payment(self, payment_intent_id: str) -> records.Payment:
        """With its charge."""
        call = self._api.payment_intents.retrieve_async(payment_intent_id, {"expand": ["latest_charge"]})
        return await asked(call, mapping.payment)

    async def charge(self, charge_id: str) -> records.Charge:
        """One payment."""
        return await asked(self._api.charges.retrieve_async(charge_id), mapping.charge)

    async def charges_of(self, customer_id: str) -> tuple[records.Charge, ...]:
        """All of a customer's, also those that failed."""
        params = {"customer": customer_id, "limit": PAGE}
        return await all_of(self._api.charges.list_async(params), mapping.charge)

    async def refund(self, refund_id: str) -> records.Refund:
        """One."""
        return await asked(self._api.refunds.retrieve_async(refund_id), mapping.refund)

    async def refunds_of(self, payment_intent_id: str) -> tuple[records.Refund, ...]:
        """All of a payment's: where to look up whether one of ours was made."""
        params = {"payment_intent": payment_intent_id, "limit": PAGE}
        return await all_of(self._api.refunds.list_async(params), mapping.refund)

    async def refunds(self, since: datetime, after: str | None) -> Page[records.Refund]:
        """Everybody's since then, a page at a time."""
        params = {"created": {"gte": _seconds(since)}, **_from(after)}
        return await page_of(self._api.refunds.list_async(params), mapping.refund)

    async def dispute(self, dispute_id: str) -> records.Dispute:
        """One."""
        return await asked(self._api.disputes.retrieve_async(dispute_id), mapping.dispute)

    async def disputes_of(self, payment_intent_id: str) -> tuple[records.Dispute, ...]:
        """All of a payment's."""
        params = {"payment_intent": payment_intent_id, "limit": PAGE}
        return await all_of(self._api.disputes.list_async(params), mapping.dispute)

    async def disputes(self, since: datetime, after: str | None) -> Page[records.Dispute]:
        """Everybody's since then, a page at a time."""
        params = {"created": {"gte": _seconds(since)}, **_from(after)}
        return await page_of(self._api.disputes.list_async(params), mapping.dispute)

    async def movements(self, since: datetime, until: datetime, after: str | None) -> Page[records.Movement]:
        """The lines of the balance in that time, a page at a time."""
        params = {"created": {"gte": _seconds(since), "lt": _seconds(until)}, **_from(after)}
        return await page_of(self._api.balance_transactions.list_async(params), mapping.movement)

    async def events(self, types: tuple[str, ...], since: datetime, after: str | None) -> Page[records.Event]:
        """What happened since then, a page at a time."""
        params = {"types": list(types), "created": {"gte": _seconds(since)}, **_from(after)}
        return await page_of(self._api.events.list_async(params), mapping.event)

    async def customer(self, customer_id: str) -> records.Customer:
        """Also one who was deleted."""
        return await asked(self._api.customers.retrieve_async(customer_id), mapping.customer)

    async def payment_methods_of(self, customer_id: str) -> tuple[records.PaymentMethod, ...]:
        """What a customer can pay with, newest first."""
        call = self._api.customers.payment_methods.list_async(customer_id, {"limit": PAGE})
        return await all_of(call, mapping.payment_method)

    async def checkout_session(self, session_id: str) -> records.CheckoutSession:
        """A page, and what came of it."""
        return await asked(self._api.checkout.sessions.retrieve_async(session_id), mapping.checkout_session)


def _from(after: str | None) -> dict[str, Any]:
    return {"limit": PAGE} if after is None else {"limit": PAGE, "starting_after": after}


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
