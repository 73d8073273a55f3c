"""A read of an account becomes rows: one transaction, under a fence. Whoever finds a newer one writes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from activities import billing_duplicates, billing_entries, billing_metrics, billing_notices
from activities.billing_movements import Account
from activities.billing_read import Reading
from core.crypto import FieldCipher, Subject
from domain.billing import dunning
from domain.billing.catalogue import TRIAL_NOTICE
from domain.billing.standing import ENDED, LIVE, Alert, Facts, Status, judge
from models.queries import billing, billing_events, billing_operations, checkouts
from temporal import ids, outbox
from temporal.contracts.billing import AccountPlan, NewCard, Standing

PAY_LINK: Final = "billing_snapshots.pay_link_ct"
SETTLING: Final = timedelta(minutes=1)
"""After an instant at which Stripe does something by itself, until it is read: its clock is not ours."""


@dataclass(frozen=True, slots=True)
class Applier:
    """See the module."""

    cipher: FieldCipher
    environment: str

    async def apply(self, session: AsyncSession, account: Account, reading: Reading, fence: int) -> AccountPlan:
        """Store it, and say what follows. Raises `SubjectErased`."""
        before = await billing.snapshot(session, account.id)
        last = await billing.entitlement(session, account.id)
        verdict = judge(_facts(reading), last, reading.as_of)
        row = await self._row(account, reading, verdict.alert, fence)
        if not await billing.save_snapshot(session, row):
            billing_metrics.PULLS.labels("superseded").inc()
            return AccountPlan(Standing.UNCLEAR, superseded=True)
        await billing.entitle(session, account.id, fence, verdict.entitlement, reading.as_of)
        if reading.subscription is not None:
            await billing.fix_currency(session, account.id, reading.subscription.currency)
        await billing_entries.record(session, account.id, reading.money)
        await billing_duplicates.pay_back_late(session, self.environment, account.id, reading)
        await billing_notices.tell_what_is_due(session, self.cipher, account.id, before, reading)
        await billing_events.apply(session, account.noted)
        if account.recount:
            await billing.want_recount(session, account.id, recount=False)
        outbox.say_workflow(session, (account.id,), ids.billing(account.id), "billing")
        billing_metrics.PULLS.labels("stored").inc()
        if verdict.alert is not None:
            billing_metrics.UNCLEAR.labels(verdict.alert).inc()
        return await self._plan(session, account, reading, verdict.alert)

    async def _row(self, account: Account, reading: Reading, alert: Alert | None, fence: int) -> Mapping[str, Any]:
        """Every column, so that nothing stays from the read before."""
        invoice, owed, debt = reading.invoice, reading.owed, reading.debt
        link = invoice.hosted_url if invoice else None
        sealed = await self.cipher.seal(Subject.user(account.id), PAY_LINK, account.id, link) if link else None
        return {
            **dict.fromkeys(billing.READ),
            **_of_subscription(reading),
            "account_id": account.id,
            "fence": fence,
            "tier": reading.tier,
            "next_price_id": reading.next_price_id,
            "open_invoice_id": invoice.id if invoice else None,
            "payment": owed.payment if owed else None,
            "decline_code": owed.decline_code if owed else None,
            "is_retried": owed.is_retried if owed else None,
            "first_failed_at": debt.first_failed_at,
            "past_due_since": debt.past_due_since,
            "pay_link_ct": sealed,
            "default_pm_id": reading.default_then,
            "alert": alert,
            "synced_at": reading.as_of - reading.ahead,
            "look_at": _look_at(reading),
        }

    async def _plan(
        self, session: AsyncSession, account: Account, reading: Reading, alert: Alert | None
    ) -> AccountPlan:
        card = None
        if reading.card is not None and reading.invoice is not None:
            key = pay_key(reading.invoice.id, reading.card)
            if not await billing_operations.has_ended(session, self.environment, key):
                card = NewCard(reading.invoice.id, reading.card)
        voidable = [
            each
            for each in reading.left_open
            if not await billing_operations.has_ended(session, self.environment, void_key(each))
        ]
        is_live = reading.subscription is not None and reading.subscription.status in LIVE
        is_left = any("checkout.session" in event.type for event in account.noted)
        return AccountPlan(
            _standing(reading, alert),
            look_at=_look_at(reading),
            pay=card,
            surplus_id=reading.surplus[0] if reading.surplus else None,
            void_invoice_id=voidable[0] if voidable else None,
            has_stale_checkouts=(is_live or is_left) and await checkouts.has_open(session, account.id),
        )


def pay_key(invoice_id: str, payment_method_id: str) -> str:
    """An invoice is charged once to each method."""
    return f"pay:{invoice_id}:{payment_method_id}"


def void_key(invoice_id: str) -> str:
    """Nobody owes an invoice any more: once."""
    return f"void:{invoice_id}"


def _facts(reading: Reading) -> Facts | None:
    found = reading.subscription
    return None if found is None else Facts(found.status, reading.tier, reading.debt.past_due_since)


def _of_subscription(reading: Reading) -> Mapping[str, Any]:
    found = reading.subscription
    if found is None:
        return {}
    return {
        "status": found.status,
        "subscription_id": found.id,
        "item_id": found.item_id,
        "price_id": found.price.id if found.price else None,
        "interval": found.price.interval if found.price else None,
        "currency": found.currency,
        "period_end": found.period_end,
        "trial_end": found.trial_end,
        "scheduled_cancel_at": found.cancel_at,
        "schedule_id": found.schedule_id,
        "pending_update_expires_at": found.pending_expires_at,
    }


def _standing(reading: Reading, alert: Alert | None) -> Standing:
    found = reading.subscription
    if alert is not None:
        return Standing.UNCLEAR
    if found is None or found.status in ENDED:
        return Standing.FREE
    if found.status == Status.UNPAID or reading.debt.past_due_since is not None:
        return Standing.DUNNING
    is_waiting = found.status in (Status.INCOMPLETE, Status.PAUSED) or found.pending_expires_at is not None
    return Standing.WAITING if is_waiting else Standing.GOOD


def _look_at(reading: Reading) -> datetime | None:
    """The next instant, on our clock, at which something is due that nobody may tell us of."""
    return min((at - reading.ahead for at in _instants(reading) if at > reading.as_of), default=None)


def _instants(reading: Reading) -> Iterable[datetime]:
    boundary = dunning.next_at(reading.debt, reading.as_of)
    if boundary is not None:
        yield boundary
    found = reading.subscription
    if found is None:
        return
    if found.trial_end is not None and found.status == Status.TRIALING:
        yield found.trial_end - TRIAL_NOTICE
    for at in (found.trial_end, found.cancel_at, found.pending_expires_at):
        if at is not None:
            yield at + SETTLING
