"""Looking after Stripe's messages, and after refunds that nobody asked for. May run twice: ringing once too often is
harmless, an event is stored once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import billing_metrics
from core.db import SessionFactory
from domain.billing.events import HANDLED
from integrations.payments import records
from models.billing import EventState, RefundState
from models.queries import billing, billing_events, billing_operations, billing_watermarks, refunds
from temporal import outbox
from temporal.contracts.billing_sweep import FindMissed, MissedFound, NudgeWaiting, WaitingNudged

if TYPE_CHECKING:
    from integrations.payments.client import Payments

WATERMARK: Final = "events"
OVERLAP: Final = timedelta(hours=1)
"""An event may appear in the list later than others of its time."""
FIRST_LOOK: Final = timedelta(days=3)
"""How far back where nobody has looked before: as long as Stripe tries to tell."""
_AT_ONCE: Final = 20
"""As many types as the list of events takes."""


@dataclass(frozen=True, slots=True)
class BillingSweepActivities:
    """See the module."""

    sessions: SessionFactory
    payments: "Payments"
    livemode: bool

    @activity.defn
    async def nudge_waiting(self, request: NudgeWaiting) -> WaitingNudged:
        """Those with something to handle, and those of operations that were given up; whose the rest is, is asked
        again. Page by page, each in a transaction of its own; heartbeats after each."""
        await self._give_up(request.page_size)
        await self._search(request.page_size)
        accounts = await self._nudge(request.page_size)
        pruned = await self._prune(billing_events.prune, request.page_size)
        pruned += await self._prune(billing_operations.prune, request.page_size)
        async with self.sessions() as session:
            number, age = await billing_events.unapplied(session)
        billing_metrics.EVENTS_UNAPPLIED.set(number)
        billing_metrics.EVENTS_AGE.set(age)
        await self._ring_refunds(request.page_size)
        return WaitingNudged(accounts, pruned)

    async def _nudge(self, page_size: int) -> int:
        after, total = UUID(int=0), 0
        while True:
            async with self.sessions.begin() as session:
                page = await billing_events.waiting(session, after, page_size)
                for account_id in page:
                    await outbox.ring_billing(session, account_id)
            if not page:
                return total
            after, total = page[-1], total + len(page)
            activity.heartbeat(total)

    async def _search(self, page_size: int) -> None:
        """Stripe may have refused to say whose an event is, and the search has ended: it begins anew."""
        after, page = "", [""]
        while page:
            async with self.sessions.begin() as session:
                page = list(await billing_events.unrouted(session, after, page_size))
                for event_id in page:
                    await outbox.start_resolve(session, event_id)
            after = page[-1] if page else after
            activity.heartbeat(after)

    async def _give_up(self, page_size: int) -> None:
        """Of operations that nobody goes on with nobody knows what came: their accounts are read."""
        count = page_size
        while count == page_size:
            async with self.sessions.begin() as session:
                given_up = await billing_operations.abandon(session, page_size)
                for account_id in set(given_up):
                    await outbox.ring_billing(session, account_id)
            count = len(given_up)
            activity.heartbeat(count)

    async def _prune(self, prune: Callable[[AsyncSession, int], Awaitable[int]], page_size: int) -> int:
        total, count = 0, page_size
        while count == page_size:
            async with self.sessions.begin() as session:
                count = await prune(session, page_size)
            total += count
            activity.heartbeat(total)
        return total

    async def _ring_refunds(self, page_size: int) -> None:
        """Those that nobody could ask for within a day begin anew, and an operator hears: their workflows were lost, or
        Stripe refuses."""
        count = page_size
        while count == page_size:
            async with self.sessions.begin() as session:
                overdue = await refunds.overdue(session, page_size)
                for account_id, refund_id in overdue:
                    await outbox.ring_refund(session, account_id, refund_id)
            count = len(overdue)
            billing_metrics.REFUNDS_STUCK.labels(RefundState.RESERVED).inc(count)
            activity.heartbeat(count)

    @activity.defn
    async def find_missed(self, request: FindMissed) -> MissedFound:
        """Read Stripe's list, store what is unknown, ring whose it is. How far was read is noted last. Raises
        `PaymentsError`."""
        async with self.sessions() as session:
            read_until = await billing_watermarks.read(session, WATERMARK)
        since = (read_until or request.now - FIRST_LOOK) - OVERLAP
        missed = 0
        types = sorted(HANDLED)
        for start in range(0, len(types), _AT_ONCE):
            missed += await self._missed(tuple(types[start : start + _AT_ONCE]), since)
        async with self.sessions.begin() as session:
            await billing_watermarks.write(session, WATERMARK, request.now)
        billing_metrics.EVENTS_MISSED.inc(missed)
        return MissedFound(missed)

    async def _missed(self, types: tuple[str, ...], since: datetime) -> int:
        missed, after = 0, None
        while True:
            page = await self.payments.events(types, since, after)
            async with self.sessions.begin() as session:
                missed += await self._store(session, page.items)
            activity.heartbeat(missed)
            after = page.after
            if after is None:
                return missed

    async def _store(self, session: AsyncSession, events: Sequence[records.Event]) -> int:
        """How many were new."""
        added = 0
        for event in events:
            account_id = await billing.account_of(session, event.customer_id) if event.customer_id else None
            if account_id is None and event.object_id is not None:
                account_id = await billing_events.account_of_object(session, event.object_id)
            if await billing_events.add(session, self._row(event, account_id)):
                added += 1
                await self._route(session, event, account_id)
        return added

    async def _route(self, session: AsyncSession, event: records.Event, account_id: UUID | None) -> None:
        if event.is_live != self.livemode:
            return
        if account_id is not None:
            await outbox.ring_billing(session, account_id)
        elif event.customer_id is None:
            await outbox.start_resolve(session, event.id)

    def _row(self, event: records.Event, account_id: UUID | None) -> Mapping[str, Any]:
        return {
            "id": event.id,
            "format": "snapshot",
            "type": event.type,
            "created": event.created,
            "api_version": event.api_version,
            "livemode": event.is_live,
            "object_id": event.object_id,
            "customer_id": event.customer_id,
            "account": account_id,
            "state": self._state(event, account_id).value,
        }

    def _state(self, event: records.Event, account_id: UUID | None) -> EventState:
        if event.is_live != self.livemode:
            return EventState.IGNORED
        is_strangers = account_id is None and event.customer_id is not None
        return EventState.ORPHAN if is_strangers else EventState.RECEIVED
