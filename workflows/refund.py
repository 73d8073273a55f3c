"""One payment on its way back, until the bank has it, or it came to nothing.

Promise: Stripe is asked for it once, whatever dies meanwhile and however long Stripe is away; a subscription that is to
end, ends first; its person is told how it went. Id `user/{account_id}/refund/{refund_id}`. It ends when the refund has;
after a month without an end an operator hears of it. It holds no truth: a bell makes it read the row and Stripe anew.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.refund import RefundActivities
    from domain.billing.refund import RefundState
    from temporal.contracts import refund as contract
    from temporal.contracts.refund import LookAtRefund, RefundChanged, Refunding, RefundStanding
    from temporal.policies import BILLING_READ, BILLING_WRITE
    from temporal.search_attributes import STATE

POLL = timedelta(hours=6)
"""Between two looks while nobody rings."""
PAUSE = timedelta(hours=1)
"""After a step that could not be made: Stripe or our database is away, or refuses."""
PATIENCE = timedelta(days=30)


@workflow.defn(name=contract.WORKFLOW)
class RefundWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, request: Refunding) -> None:
        self.refund_id = request.refund_id
        self.announced = 0
        self.is_over = False
        self.shown: str | None = None

    @workflow.run
    async def run(self, request: Refunding) -> None:
        """Look at it whenever somebody rings, and now and then, for a month, or until it has ended and was told."""
        until = workflow.now() + PATIENCE
        while not self.is_over and workflow.now() < until:
            heard = self.announced
            pause = await self.step()
            if not self.is_over:
                await self.wait(heard, pause)
        if not self.is_over:
            await self.conclude()

    @workflow.signal(name=contract.CHANGED)
    def changed(self, bell: RefundChanged) -> None:
        """Stripe said something about it."""
        self.announced = max(self.announced, bell.seq)

    async def step(self) -> timedelta:
        """What can be done for it now; how long to wait until the next one. A step that used up its attempts, or was
        refused, comes again: what it may have done is found before anything is asked for anew."""
        try:
            standing = await self.proceed()
            self.show(standing.state or "gone")
            if standing.is_over:
                await self.conclude()
                self.is_over = True
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self.show("failing")
            return PAUSE
        return POLL

    async def wait(self, heard: int, pause: timedelta) -> None:
        """Until somebody rings, or for so long."""
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self.announced > heard, timeout=pause)

    async def proceed(self) -> RefundStanding:
        """Read it; ask for it where nobody has."""
        standing = await self.check()
        if standing.cancels:
            await self.cancel_first()
        return await self.send() if standing.state == RefundState.RESERVED else standing

    async def cancel_first(self) -> None:
        """No renewal slips in between."""
        await workflow.execute_activity_method(RefundActivities.cancel_before_refund, self.now(), **BILLING_READ)

    async def send(self) -> RefundStanding:
        """Ask for it; one that was asked for already is only read."""
        return await workflow.execute_activity_method(RefundActivities.send_refund, self.now(), **BILLING_WRITE)

    async def check(self) -> RefundStanding:
        """What has become of it."""
        return await workflow.execute_activity_method(RefundActivities.check_refund, self.now(), **BILLING_READ)

    async def conclude(self) -> None:
        """Tell its person, or an operator."""
        await workflow.execute_activity_method(RefundActivities.conclude_refund, self.now(), **BILLING_READ)

    def now(self) -> LookAtRefund:
        """What every step is asked with."""
        return LookAtRefund(self.refund_id, workflow.now())

    def show(self, state: str) -> None:
        """Tell operators how it stands; what they can search for is written when it changes."""
        if state != self.shown:
            workflow.upsert_search_attributes([STATE.value_set(state)])
        self.shown = state
        workflow.set_current_details(f"{state}; looked at {workflow.now()}")
