"""One payment on its way back, until the bank has it, or it came to nothing.

Promise: Stripe is asked for it once, whatever dies meanwhile; a subscription that is to end, ends first; its person is
told how it went. Id `user/{account_id}/refund/{refund_id}`. It ends when the refund has; after a month without an end
an operator hears of it. It holds no truth: a bell makes it read the row and Stripe anew.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.refund import RefundActivities
    from temporal.contracts import refund as contract
    from temporal.contracts.refund import LookAtRefund, RefundChanged, Refunding, RefundStanding
    from temporal.policies import BILLING_READ, BILLING_WRITE
    from temporal.search_attributes import STATE

POLL = timedelta(hours=6)
"""Between two looks while nobody rings."""
PATIENCE = timedelta(days=30)


@workflow.defn(name=contract.WORKFLOW)
class RefundWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, request: Refunding) -> None:
        self.refund_id = request.refund_id
        self.announced = 0
        self.shown: str | None = None

    @workflow.run
    async def run(self, request: Refunding) -> None:
        """Send it, wait for its end, and tell."""
        standing = await self.check()
        if standing.cancels:
            await self.cancel_first()
        if not standing.is_over:
            standing = await self.send()
        await self.settle(standing)
        await workflow.execute_activity_method(RefundActivities.conclude_refund, self.now(), **BILLING_READ)

    @workflow.signal(name=contract.CHANGED)
    def changed(self, bell: RefundChanged) -> None:
        """Stripe said something about it."""
        self.announced = max(self.announced, bell.seq)

    async def cancel_first(self) -> None:
        """No renewal slips in between."""
        await workflow.execute_activity_method(RefundActivities.cancel_before_refund, self.now(), **BILLING_READ)

    async def send(self) -> RefundStanding:
        """Ask for it; one that was asked for already is only read."""
        return await workflow.execute_activity_method(RefundActivities.send_refund, self.now(), **BILLING_WRITE)

    async def settle(self, standing: RefundStanding) -> None:
        """Look again whenever somebody rings, and now and then, for a month."""
        until = workflow.now() + PATIENCE
        while not standing.is_over and workflow.now() < until:
            heard = self.announced
            self.show(standing)
            with suppress(asyncio.TimeoutError):
                await workflow.wait_condition(lambda heard=heard: self.announced > heard, timeout=POLL)  # type: ignore[misc]
            standing = await self.check()
        self.show(standing)

    async def check(self) -> RefundStanding:
        """What has become of it."""
        return await workflow.execute_activity_method(RefundActivities.check_refund, self.now(), **BILLING_READ)

    def now(self) -> LookAtRefund:
        """What every step is asked with."""
        return LookAtRefund(self.refund_id, workflow.now())

    def show(self, standing: RefundStanding) -> None:
        """Tell operators how it stands; what they can search for is written when it changes."""
        state = standing.state or "gone"
        if state != self.shown:
            workflow.upsert_search_attributes([STATE.value_set(state)])
        self.shown = state
        workflow.set_current_details(f"{state}; looked at {workflow.now()}")
