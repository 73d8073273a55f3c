"""A shop at the local Stripe server: two plans by month and year, customers with their methods, and what tests read."""

from dataclasses import dataclass
from typing import Any

from infra.local.emulators.stripe_server.account import Account
from tests.stripe_servers import Sandbox

DAY, HOUR = 86_400, 3_600
OPTIONS = {
    "plus_month": {"unit_amount": 499, "interval": "month", "usd": 599, "gbp": 449, "chf": 550, "jpy": 800},
    "plus_year": {"unit_amount": 4990, "interval": "year", "usd": 5990, "gbp": 4490, "chf": 5500, "jpy": 8000},
    "family_month": {"unit_amount": 999, "interval": "month", "usd": 1199, "gbp": 899, "chf": 1100, "jpy": 1600},
    "family_year": {"unit_amount": 9990, "interval": "year", "usd": 11990, "gbp": 8990, "chf": 11000, "jpy": 16000},
}


@dataclass(frozen=True, slots=True)
class Shop:
    """See the module. `prices` by lookup key."""

    box: Sandbox
    prices: dict[str, str]

    @property
    def v1(self) -> Any:
        """The official client's resources."""
        return self.box.v1

    @property
    def account(self) -> Account:
        """What the server keeps."""
        return self.box.account

    async def customer(self, method: str | None = "pm_card_visa", **more: Any) -> str:
        """A customer whose default is this test method."""
        given = {"email": "ada@example.com", "address": {"country": "DE"}, **more}
        customer = await self.v1.customers.create_async(given)
        if method:
            attached = await self.v1.payment_methods.attach_async(method, {"customer": customer.id})
            settings = {"invoice_settings": {"default_payment_method": attached.id}}
            await self.v1.customers.update_async(customer.id, settings)
        return str(customer.id)

    async def replace_method(self, customer: str, method: str) -> str:
        """Another default; answers its id."""
        attached = await self.v1.payment_methods.attach_async(method, {"customer": customer})
        settings = {"invoice_settings": {"default_payment_method": attached.id}}
        await self.v1.customers.update_async(customer, settings)
        return str(attached.id)

    async def subscribe(self, customer: str, key: str = "plus_month", **more: Any) -> Any:
        """A subscription to a price."""
        given = {"customer": customer, "items": [{"price": self.prices[key]}], **more}
        return await self.v1.subscriptions.create_async(given)

    async def subscription(self, subscription_id: str) -> Any:
        """As it is now."""
        return await self.v1.subscriptions.retrieve_async(subscription_id)

    async def latest_invoice(self, subscription_id: str) -> Any:
        """Its latest invoice, with its payments."""
        subscription = await self.subscription(subscription_id)
        return await self.v1.invoices.retrieve_async(subscription.latest_invoice, {"expand": ["payments"]})

    async def charge_of(self, invoice_id: str) -> Any:
        """What an invoice was paid with, last."""
        expand = ["data.payment.payment_intent.latest_charge"]
        found = await self.v1.invoice_payments.list_async({"invoice": invoice_id, "expand": expand})
        return found.data[0].payment.payment_intent.latest_charge

    def types(self, *kinds: str) -> list[str]:
        """The types of all events, oldest first; of these objects alone if any are named."""
        events = reversed(self.account.objects.find("event"))
        return [each["type"] for each in events if not kinds or each["data"]["object"]["object"] in kinds]

    def sums(self) -> None:
        """The balance transactions add up to the ledger, in every currency."""
        transactions = self.account.objects.find("balance_transaction")
        for currency in {each["currency"] for each in transactions}:
            net = sum(each["net"] for each in transactions if each["currency"] == currency)
            assert net == self.account.ledger.balance(currency)


async def opened(box: Sandbox) -> Shop:
    """A shop on an empty account."""
    prices = {}
    for tier in ("plus", "family"):
        product = await box.v1.products.create_async({"name": tier.title(), "metadata": {"tier": tier}})
        for key in (f"{tier}_month", f"{tier}_year"):
            option = OPTIONS[key]
            others = {name: {"unit_amount": option[name]} for name in ("usd", "gbp", "chf", "jpy")}
            price = await box.v1.prices.create_async(
                {
                    "product": product.id,
                    "currency": "eur",
                    "unit_amount": option["unit_amount"],
                    "recurring": {"interval": option["interval"]},
                    "lookup_key": key,
                    "currency_options": others,
                    "metadata": {"tier": tier},
                }
            )
            prices[key] = price.id
    return Shop(box, prices)
