"""A person's invoices: Stripe's, with what we know of their payments."""

from typing import Any

from api import billing
from api.auth import Caller
from api.billing_services import Billing
from api.cursor import Page
from api.money import money
from api.services import Services
from integrations.payments.records import Invoice
from models.queries import billing_views


async def page(services: Services, payments: Billing, caller: Caller, asked: Page) -> list[dict[str, Any]]:
    """The documents of `InvoiceOut`, one more than are shown where there are more. Raises `PaymentsError`."""
    row = await billing.standing(services.db, caller.user_id)
    if row["stripe_customer_id"] is None:
        return []
    after = asked.after[0] if asked.after else None
    found = await payments.client.newest_invoices_of(row["stripe_customer_id"], after)
    items = list(found.items[: asked.rows])
    if len(items) < asked.rows and found.after is not None:
        items.append(items[-1])  # stands for those that the next page begins with
    charges = await billing_views.charges_of(services.db.reads, caller.user_id, [each.id for each in items])
    return [_present(each, charges.get(each.id)) for each in items]


def _present(invoice: Invoice, charge: Any) -> dict[str, Any]:
    return {
        "id": invoice.id,
        "number": invoice.number,
        "status": invoice.status,
        "total": money(invoice.total),
        "amount_due": money(invoice.amount_due),
        "tax": money(invoice.tax),
        "created_at": invoice.created,
        "url": invoice.hosted_url,
        "payment": _payment(charge),
    }


def _payment(charge: Any) -> dict[str, Any] | None:
    if charge is None:
        return None
    refundable = {"amount": charge["rest"], "currency": charge["currency"]}
    return {"charge_id": charge["charge_id"], "refundable": refundable, "disputed": charge["is_disputed"]}
