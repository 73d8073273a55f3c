"""Comparing with Stripe, both ways, a page at a time. What differs is listed and read anew: a comparison itself changes
nothing. Each may run twice; one that died goes on where it was."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import billing_metrics
from core.db import SessionFactory
from domain.billing.catalogue import Tier, tier_of
from domain.billing.standing import GOOD, LIVE, Entitlement, Facts, judge, tier_at
from integrations.payments import records
from integrations.payments.records import Page
from models.queries import billing, billing_drift, billing_money
from temporal import outbox
from temporal.contracts.billing_reconcile import Compared, CompareMoney, CompareOurs, CompareTheirs

if TYPE_CHECKING:
    from integrations.payments.client import Payments

MONEY_DAYS: Final = timedelta(days=30)
SETTLED: Final = timedelta(days=1)
"""An invoice that is younger may be of a subscription that has not begun yet, which ends within a day by itself."""
T = TypeVar("T")
Part = tuple[Callable[[str | None], Awaitable[Page[T]]], Callable[[Page[T]], Awaitable[int]]]
"""How a list is read from a cursor on, and how many differences a page of it has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the two sides say differently."""

    what: str
    object_id: str | None
    ours: object
    theirs: object


@dataclass(frozen=True, slots=True)
class BillingReconcileActivities:
    """See the module."""

    sessions: SessionFactory
    payments: "Payments"

    @activity.defn
    async def compare_theirs(self, request: CompareTheirs) -> Compared:
        """Every subscription of Stripe's. Raises `PaymentsError`."""

        async def compare(page: Page[records.Subscription]) -> int:
            async with self.sessions.begin() as session:
                return await self._compare_page(session, page.items, request)

        return await _through((self.payments.subscriptions, compare))

    async def _compare_page(
        self, session: AsyncSession, page: tuple[records.Subscription, ...], request: CompareTheirs
    ) -> int:
        accounts = await billing_drift.accounts(session, [each.customer_id for each in page])
        sold = [each.customer_id for each in page if each.account_id is not None and each.status in LIVE]
        strangers = await billing_drift.strangers(session, sold)
        drift = 0
        for theirs in page:
            ours = accounts.get(theirs.customer_id)
            found = _unknown(theirs, strangers) if ours is None else list(_differences(ours, theirs, request))
            drift += await _repair(session, ours["account_id"] if ours else None, found)
        await billing_drift.confirm(session, [each.id for each in page], request.began_at)
        return drift

    @activity.defn
    async def compare_ours(self, request: CompareOurs) -> Compared:
        """What we have and nobody met."""
        after, rows, drift = UUID(int=0), 0, 0
        while True:
            async with self.sessions.begin() as session:
                page = await billing_drift.left_over(session, request.began_at, after, request.page_size)
                for ours in page:
                    drift += await _repair(session, ours["account_id"], [_left_over(ours)])
            if not page:
                billing_metrics.RECONCILED.set_to_current_time()
                return Compared(rows, drift)
            after, rows = page[-1]["account_id"], rows + len(page)
            activity.heartbeat(rows)

    @activity.defn
    async def compare_money(self, request: CompareMoney) -> Compared:
        """Refunds and disputes of a month, and what is owed. Raises `PaymentsError`."""
        since = request.began_at - MONEY_DAYS

        async def refunds(page: Page[records.Refund]) -> int:
            async with self.sessions.begin() as session:
                return await self._compare_refunds(session, page.items)

        async def disputes(page: Page[records.Dispute]) -> int:
            async with self.sessions.begin() as session:
                return await self._compare_disputes(session, page.items)

        async def invoices(page: Page[records.Invoice]) -> int:
            async with self.sessions.begin() as session:
                return await self._compare_owed(session, page.items, request)

        return await _through(
            (lambda after: self.payments.refunds(since, after), refunds),
            (lambda after: self.payments.disputes(since, after), disputes),
            (self.payments.open_invoices, invoices),
        )

    async def _compare_owed(
        self, session: AsyncSession, page: tuple[records.Invoice, ...], request: CompareMoney
    ) -> int:
        """Whoever opens its link pays for it: it has to be what the account owes, or older than that."""
        settled = [each for each in page if each.subscription_id and each.created < request.began_at - SETTLED]
        accounts = await billing_drift.accounts(session, [each.customer_id for each in settled if each.customer_id])
        drift = 0
        for theirs in settled:
            ours = accounts.get(theirs.customer_id or "")
            if ours is not None and not _is_owed(ours, theirs):
                found = Difference("open_invoice_id", theirs.id, ours["open_invoice_id"], theirs.id)
                drift += await _repair(session, ours["account_id"], [found])
        return drift

    async def _compare_refunds(self, session: AsyncSession, page: tuple[records.Refund, ...]) -> int:
        op_ids = [each.op_id for each in page if each.op_id]
        states = await billing_drift.refund_states(session, [each.id for each in page], op_ids)
        found = {each: states.get(each.id) or states.get(each.op_id or "") for each in page}
        return await self._money(
            session, "refund", ((each.charge_id, each.id, found[each], each.status) for each in page)
        )

    async def _compare_disputes(self, session: AsyncSession, page: tuple[records.Dispute, ...]) -> int:
        states = await billing_drift.dispute_states(session, [each.id for each in page])
        rows = ((each.charge_id, each.id, states.get(each.id), each.status) for each in page)
        return await self._money(session, "dispute", rows)

    async def _money(
        self, session: AsyncSession, what: str, rows: Iterable[tuple[str | None, str, str | None, str]]
    ) -> int:
        """Each is of a charge; one whose charge is nobody's of ours is somebody else's business."""
        drift = 0
        for charge_id, object_id, ours, theirs in rows:
            account_id = await billing_money.owner_of(session, charge_id) if charge_id else None
            if account_id is not None and ours != theirs:
                await billing.want_recount(session, account_id)
                drift += await _repair(session, account_id, [Difference(what, object_id, ours, theirs)])
        return drift


async def _through(*parts: Part[Any]) -> Compared:
    """All pages of all lists, from where an attempt that died had come to."""
    begun, after, rows, drift = _resumed()
    for number, (read, compare) in list(enumerate(parts))[begun:]:
        is_over = False
        while not is_over:
            page = await read(after)
            drift += await compare(page)
            after, rows = page.after, rows + len(page.items)
            is_over = after is None
            activity.heartbeat(number + is_over, after, rows, drift)
    return Compared(rows, drift)


def _resumed() -> tuple[int, str | None, int, int]:
    details = activity.info().heartbeat_details
    if len(details) != 4:
        return 0, None, 0, 0
    number, after, rows, drift = details
    return int(number), after, int(rows), int(drift)


async def _repair(session: AsyncSession, account_id: UUID | None, found: list[Difference]) -> int:
    """List them, and have the account read."""
    for each in found:
        billing_metrics.DRIFT.labels(each.what).inc()
        await billing_drift.note(session, account_id, each.what, each.object_id, each.ours, each.theirs)
    if found and account_id is not None:
        await outbox.ring_billing(session, account_id)
    return len(found)


def _unknown(theirs: records.Subscription, strangers: frozenset[str]) -> list[Difference]:
    """One that was sold for an account, and whose customer is none of ours any more: somebody pays and has nothing."""
    if theirs.account_id is None or theirs.status not in LIVE or theirs.customer_id not in strangers:
        return []
    return [Difference("subscription", theirs.id, None, theirs.customer_id)]


def _is_owed(ours: RowMapping, theirs: records.Invoice) -> bool:
    """Whether we know of it, or it is of the subscription that the account has."""
    is_current = theirs.subscription_id == ours["subscription_id"] and ours["status"] in LIVE
    return is_current or theirs.id == ours["open_invoice_id"]


def _differences(ours: RowMapping, theirs: records.Subscription, request: CompareTheirs) -> Iterable[Difference]:
    """What a subscription of Stripe's says otherwise than we do."""
    if ours["subscription_id"] != theirs.id:
        is_ours_better = ours["status"] in GOOD and theirs.status not in GOOD
        if theirs.status in LIVE and not is_ours_better:
            yield Difference("subscription", theirs.id, ours["subscription_id"], theirs.id)
        return
    for what, said in _said(theirs).items():
        if ours[what] != said:
            yield Difference(what, theirs.id, ours[what], said)
    yield from _entitled(ours, theirs, request)


def _said(theirs: records.Subscription) -> Mapping[str, Any]:
    invoice = theirs.latest_invoice
    return {
        "status": theirs.status,
        "price_id": theirs.price.id if theirs.price else None,
        "period_end": theirs.period_end,
        "scheduled_cancel_at": theirs.cancel_at,
        "open_invoice_id": invoice.id if invoice is not None and invoice.status == "open" else None,
    }


def _entitled(ours: RowMapping, theirs: records.Subscription, request: CompareTheirs) -> Iterable[Difference]:
    """Whether the plan is what its subscription gives, everywhere where it stands."""
    if theirs.price is None:
        return
    tier = tier_of(theirs.price.lookup_key, theirs.price.metadata, {}) or _tier(ours["tier"])
    had = Entitlement(_tier(ours["entitled"]) or Tier.FREE, ours["grace_until"])
    granted = judge(Facts(theirs.status, tier, ours["past_due_since"]), had, request.began_at).entitlement
    wanted = tier_at(granted, request.began_at)
    if tier_at(had, request.began_at) is not wanted:
        yield Difference("entitlement", theirs.id, had.tier, wanted)
    if ours["subscription_tier"] != wanted:
        yield Difference("subscription_tier", theirs.id, ours["subscription_tier"], wanted)


def _left_over(ours: RowMapping) -> Difference:
    status = ours["status"]
    if status is None or status in ("canceled", "incomplete_expired"):
        return Difference("entitlement", None, ours["entitled"] or ours["subscription_tier"], Tier.FREE)
    return Difference("subscription", ours["subscription_id"], status, None)


def _tier(word: str | None) -> Tier | None:
    return Tier(word) if word in set(Tier) else None
