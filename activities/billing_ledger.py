"""The ledger against Stripe's balance, movement by movement. It changes nothing: what is missing is read anew."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from temporalio import activity

from activities import billing_metrics
from activities.billing_owners import Owners
from core.db import SessionFactory
from domain.billing.catalogue import CURRENCIES
from domain.money import Money
from integrations.payments import records
from models.billing import EntryKind
from models.queries import billing, billing_drift, billing_money
from temporal import outbox
from temporal.contracts.billing_ledger import BalanceCompared, CompareBalance

if TYPE_CHECKING:
    from integrations.payments.client import Payments

_KINDS: Final[Mapping[str, EntryKind]] = {
    "charge": EntryKind.CHARGE,
    "payment": EntryKind.CHARGE,
    "refund": EntryKind.REFUND,
    "payment_refund": EntryKind.REFUND,
    "refund_failure": EntryKind.REFUND_FAILURE,
    "payment_failure_refund": EntryKind.PAYMENT_FAILURE,
}


@dataclass(frozen=True, slots=True)
class BillingLedgerActivities:
    """See the module."""

    sessions: SessionFactory
    payments: "Payments"

    @activity.defn
    async def compare_balance(self, request: CompareBalance) -> BalanceCompared:
        """Every payment, refund and dispute in that time, from where an attempt that died had come to. Payouts and fees
        are no business of accounts. Raises `PaymentsError`."""
        after, movements, missing, difference = _resumed()
        while True:
            page = await self.payments.movements(request.since, request.until, after)
            ours = [(kind, each) for each in page.items if (kind := _kind(each)) is not None]
            wrong = await self._wrong(ours)
            for each, amount in wrong:
                difference[amount.currency] += amount.amount
                await self._repair(each, amount)
            after, movements, missing = page.after, movements + len(ours), missing + len(wrong)
            if after is None:
                break
            activity.heartbeat(after, movements, missing, dict(difference))
        for currency in {*CURRENCIES, *difference}:
            billing_metrics.LEDGER_DIFFERENCE.labels(currency).set(difference[currency])
        return BalanceCompared(movements, missing, dict(difference))

    async def _wrong(
        self, movements: Sequence[tuple[EntryKind, records.Movement]]
    ) -> list[tuple[records.Movement, Money]]:
        """Those that the ledger has otherwise, with what it is short of. What Stripe has converted into the currency of
        its payouts is only looked for: the ledger has the money that was paid."""
        wrong = []
        async with self.sessions() as session:
            for kind in dict.fromkeys(kind for kind, _ in movements):
                of_kind = [each for each_kind, each in movements if each_kind is kind]
                ids = [each.source_id for each in of_kind if each.source_id]
                entries = await billing_money.entries(session, ids, [kind])
                for each in of_kind:
                    entry = entries.get(each.source_id or "")
                    if entry is None or not (each.is_converted or entry == each.amount):
                        wrong.append((each, _short(each.amount, entry)))
        return wrong

    async def _repair(self, movement: records.Movement, short: Money) -> None:
        """List it, and have its account counted anew."""
        account_id = await Owners(self.sessions, self.payments).account_of(None, movement.source_id)
        billing_metrics.DRIFT.labels("ledger").inc()
        async with self.sessions.begin() as session:
            await billing_drift.note(session, account_id, "ledger", movement.source_id, None, short.text)
            if account_id is not None:
                await billing.want_recount(session, account_id)
                await outbox.ring_billing(session, account_id)


def _resumed() -> tuple[str | None, int, int, Counter[str]]:
    details = activity.info().heartbeat_details
    if len(details) != 4:
        return None, 0, 0, Counter()
    after, movements, missing, difference = details
    return after, int(movements), int(missing), Counter(difference)


def _short(theirs: Money, ours: Money | None) -> Money:
    """What the ledger is short of; all of it where it says another currency."""
    return theirs - ours if ours is not None and ours.currency == theirs.currency else theirs


def _kind(movement: records.Movement) -> EntryKind | None:
    """None of what concerns no account."""
    if movement.type == "adjustment" and (movement.source_id or "").startswith(("dp_", "du_")):
        return EntryKind.DISPUTE if movement.amount.amount < 0 else EntryKind.DISPUTE_REVERSAL
    return _KINDS.get(movement.type)
