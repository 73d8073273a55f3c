"""What has been paid, went back, or is disputed, of one account. Events only say which payments have to be looked at
again; what they say of them is read."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from core.db import SessionFactory
from domain.billing.dunning import Debt
from integrations.payments import records
from integrations.payments.errors import NotThere
from models.queries import billing_money
from models.queries.billing_events import Noted

if TYPE_CHECKING:
    from integrations.payments.client import Payments

T = TypeVar("T")
_PAID_EVENT: Final = "invoice.paid"
"""Part of the types of both formats: `invoice.paid`, `v1.invoice.paid`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What we know of an account before it is read. `recount`: look at every invoice, not only the latest;
    `default_then`: the customer's default method when the payment failed that `debt` is about."""

    id: UUID
    customer_id: str
    recount: bool
    debt: Debt
    noted: tuple[Noted, ...]
    default_then: str | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that came through, what for and when: a bank debit is made days before."""

    charge: records.Charge
    invoice_id: str | None
    subscription_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Movements:
    """Of money, as far as a read has looked. `debits` are in the balance, but have not come through: their banks have
    not answered yet, or have refused."""

    paid: tuple[Paid, ...] = ()
    debits: tuple[records.Charge, ...] = ()
    refunds: tuple[records.Refund, ...] = ()
    disputes: tuple[records.Dispute, ...] = ()


@dataclass(frozen=True, slots=True)
class MovementReader:
    """See the module. Raises `PaymentsError`."""

    payments: "Payments"
    sessions: SessionFactory

    async def read(self, account: Account, subscriptions: Sequence[records.Subscription]) -> Movements:
        """What was paid since the last read, and what became of the payments that events are about."""
        invoices = [each.latest_invoice for each in subscriptions if each.latest_invoice]
        invoices += await self._other_invoices(account, {invoice.id for invoice in invoices})
        for_what = {intent: invoice for invoice in invoices for intent in _intents(invoice)}
        touched = await self._touched(account.noted)
        intents = {**dict.fromkeys(touched), **for_what}
        charges = await self._charges(account, intents)
        if account.recount:
            touched |= {charge.payment_intent_id for charge in charges if charge.payment_intent_id}
        refunds = [refund for intent in sorted(touched) for refund in await self.payments.refunds_of(intent)]
        disputes = [dispute for intent in sorted(touched) for dispute in await self.payments.disputes_of(intent)]
        return Movements(
            paid=tuple(_paid(each, intents) for each in charges if each.is_paid and each.captured.amount > 0),
            debits=tuple(each for each in charges if each.is_booked and not each.is_paid),
            refunds=tuple(refunds),
            disputes=tuple(disputes),
        )

    async def _other_invoices(self, account: Account, known: set[str]) -> list[records.Invoice]:
        """Older ones: those that events are about, or all. A list of all is one call, and so are several of them."""
        named = {event.object_id for event in account.noted if _PAID_EVENT in event.type and event.object_id} - known
        listed = await self._all_invoices(account.customer_id) if account.recount or len(named) > 1 else ()
        missing = named - {invoice.id for invoice in listed}  # of a customer whom this one succeeded
        read = [await _or_nothing(self.payments.invoice(each)) for each in sorted(missing)]
        return [invoice for invoice in (*listed, *read) if invoice is not None and invoice.id not in known]

    async def _all_invoices(self, customer_id: str) -> tuple[records.Invoice, ...]:
        """None of a customer who was deleted."""
        return await _or_nothing(self.payments.invoices_of(customer_id)) or ()

    async def _charges(self, account: Account, intents: Iterable[str]) -> list[records.Charge]:
        """Those that are not stored yet: what has been paid stays paid. All of them where the account is counted anew,
        also what failed before another attempt came through."""
        async with self.sessions() as session:
            stored = frozenset() if account.recount else await billing_money.known_payments(session, intents)
        listed = await self._all_charges(account.customer_id) if account.recount else ()
        seen = stored | {charge.payment_intent_id for charge in listed}
        read = [(await self.payments.payment(intent)).charge for intent in intents if intent not in seen]
        return [charge for charge in (*listed, *read) if charge is not None]

    async def _all_charges(self, customer_id: str) -> list[records.Charge]:
        """None of a customer who was deleted."""
        listed = await _or_nothing(self.payments.charges_of(customer_id)) or ()
        return [charge for charge in listed if charge.payment_intent_id is not None]

    async def _touched(self, noted: Sequence[Noted]) -> set[str]:
        """The PaymentIntents that events about refunds and disputes lead to, each object asked once."""
        about = {event.object_id for event in noted if event.object_id}
        found = [await _or_nothing(self._intent_of(object_id)) for object_id in sorted(about)]
        return {intent for intent in found if intent is not None}

    async def _intent_of(self, object_id: str) -> str | None:
        match object_id.partition("_")[0]:
            case "re" | "pyr":
                return (await self.payments.refund(object_id)).payment_intent_id
            case "ch" | "py":
                return (await self.payments.charge(object_id)).payment_intent_id
            case "dp" | "du":
                dispute = await self.payments.dispute(object_id)
                return (await self.payments.charge(dispute.charge_id)).payment_intent_id
            case _:
                return None


async def _or_nothing(read: Awaitable[T]) -> T | None:
    """What an event is about may be gone, and then there is nothing to look at: without this it would be asked for with
    every read of the account, and keep all of them from ending."""
    try:
        return await read
    except NotThere:
        return None


def _paid(charge: records.Charge, invoices: Mapping[str, records.Invoice | None]) -> Paid:
    invoice = invoices.get(charge.payment_intent_id or "")
    if invoice is None:
        return Paid(charge, None, None, charge.created)
    return Paid(charge, invoice.id, invoice.subscription_id, max(charge.created, invoice.paid_at or charge.created))


def _intents(invoice: records.Invoice) -> Iterable[str]:
    """Those that have paid it, and the one that is to: a bank debit is in the balance before it has."""
    return (
        payment.payment_intent_id
        for payment in invoice.payments or ()
        if payment.status in ("paid", "open") and payment.payment_intent_id is not None
    )
