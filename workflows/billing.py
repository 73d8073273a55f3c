"""One account's subscription: Stripe is read whenever somebody says that something may have changed, and whenever
something is due that nobody says.

Promise: one read at a time, and the newest read stands; however many events come, one read follows them; what is due is
decided on what was re-read at that moment. Id: `user/{account_id}/billing`. It ends when the account has no
subscription and nothing is open; the next nudge starts it again. It holds no truth: what has to be handled stands in
`stripe_events`.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.billing import BillingActivities
    from temporal.contracts import billing as contract
    from temporal.contracts.billing import (
        AccountPlan,
        BillingState,
        CancelSurplus,
        CloseCheckouts,
        LoadFence,
        Nudge,
        PayInvoice,
        PullAccount,
        Standing,
        VoidInvoice,
    )
    from temporal.policies import BILLING_ACT, BILLING_READ
    from temporal.search_attributes import STATE

DEBOUNCE = timedelta(seconds=1)
"""Several nudges at once are one read."""
PAUSE = timedelta(minutes=1)
"""After an activity that used up its attempts, or was refused: then everything is read anew."""


@workflow.defn(name=contract.WORKFLOW)
class BillingWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, state: BillingState) -> None:
        self.state = state
        self.reads = 0

    @workflow.run
    async def run(self, state: BillingState) -> None:
        """Until nothing is left to wait for, or a new run takes over."""
        while True:
            await self.wait()
            plan = await self.pull()
            if plan is not None:
                await self.follow(plan)
            if self.is_over():
                return
            if self.run_is_long():
                workflow.continue_as_new(self.state)  # a nudge that came meanwhile travels along

    @workflow.signal(name=contract.NUDGE)
    def nudge(self, nudge: Nudge) -> None:
        """Something may have changed."""
        self.state = replace(self.state, nudged=True)

    @workflow.query(name=contract.STATUS)
    def status(self) -> BillingState:
        """What it knows, for debugging."""
        return self.state

    def is_over(self) -> bool:
        """Whether nothing is to be waited for."""
        state = self.state
        return state.standing is Standing.FREE and state.deadline is None and not state.nudged

    def run_is_long(self) -> bool:
        """Whether the history should start over."""
        return self.reads >= contract.READS_PER_RUN or workflow.info().is_continue_as_new_suggested()

    async def wait(self) -> None:
        """Until somebody nudges and those who nudge with them have, or until something is due."""
        deadline = self.state.deadline
        timeout = None if deadline is None else max(deadline - workflow.now(), timedelta())
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self.state.nudged, timeout=timeout)
            await workflow.sleep(DEBOUNCE)

    async def pull(self) -> AccountPlan | None:
        """Read and store. None: it did not work, and is tried again as another read."""
        self.state, self.reads = replace(self.state, nudged=False), self.reads + 1
        try:
            seq = await self.count()
            request = PullAccount(self.state.account_id, seq, workflow.now())
            return await workflow.execute_activity_method(BillingActivities.pull_and_apply, request, **BILLING_READ)
        except ActivityError as error:
            await self.rest(error)
            return None

    async def count(self) -> int:
        """The number of the next read. A run that was not handed over counts on from the stored fence."""
        if self.state.seq == 0:
            stored = await workflow.execute_activity_method(
                BillingActivities.load_fence, LoadFence(self.state.account_id), **BILLING_READ
            )
            self.state = replace(self.state, seq=stored.fence // contract.ATTEMPTS)
        self.state = replace(self.state, seq=self.state.seq + 1)
        return self.state.seq

    async def follow(self, plan: AccountPlan) -> None:
        """Do what the read asks for. Whatever is written at Stripe is read afterwards."""
        self.state = replace(self.state, deadline=plan.look_at, nudged=self.state.nudged or plan.superseded)
        if not plan.superseded:
            self.show(plan.standing)
        try:
            has_acted = await self.act(plan)
        except ActivityError as error:
            await self.rest(error)
        else:
            self.state = replace(self.state, nudged=self.state.nudged or has_acted)

    async def act(self, plan: AccountPlan) -> bool:
        """One thing at a time: what follows is decided on the next read. Whether anything was done."""
        account_id, now = self.state.account_id, workflow.now()
        if plan.surplus_id is not None:
            surplus = CancelSurplus(account_id, plan.surplus_id, now)
            await workflow.execute_activity_method(BillingActivities.cancel_surplus, surplus, **BILLING_ACT)
        elif plan.pay is not None:
            payment = PayInvoice(account_id, plan.pay, now)
            await workflow.execute_activity_method(BillingActivities.pay_invoice, payment, **BILLING_ACT)
        elif plan.void_invoice_id is not None:
            void = VoidInvoice(account_id, plan.void_invoice_id, now)
            await workflow.execute_activity_method(BillingActivities.void_invoice, void, **BILLING_ACT)
        elif plan.has_stale_checkouts:
            pages = CloseCheckouts(account_id, now)
            await workflow.execute_activity_method(BillingActivities.close_checkouts, pages, **BILLING_ACT)
            return False
        else:
            return False
        return True

    async def rest(self, error: ActivityError) -> None:
        """Stripe or our database is away, or refuses: read everything again, later."""
        if is_cancelled_exception(error):
            raise error
        self.state = replace(self.state, nudged=True)
        self.show(Standing.FAILING)
        await workflow.sleep(PAUSE)

    def show(self, standing: Standing) -> None:
        """Tell operators how it stands; what they can search for is written when it changes."""
        if standing is not self.state.standing:
            workflow.upsert_search_attributes([STATE.value_set(standing)])
        self.state = replace(self.state, standing=standing)
        due = self.state.deadline or "when somebody nudges"
        workflow.set_current_details(f"{standing}; reads so far: {self.state.seq}; next read: {due}")
