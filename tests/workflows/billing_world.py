"""A world for accounts that pay: time that can be skipped, an account at Stripe that does what a test tells it, workers
that come and go.

The activities have the names of the real ones; what the real ones do with Postgres and Stripe is tested in
`tests/billing`.
"""

import asyncio
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from temporalio import activity
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner

from core.ids import new_id
from domain.billing.refund import RefundState
from integrations.payments.errors import PaymentsUnavailable
from temporal import ids
from temporal.client import workflow_runner
from temporal.contracts import billing, refund
from temporal.contracts.billing import (
    AccountPlan,
    CancelSurplus,
    CloseCheckouts,
    Fence,
    LoadFence,
    Nudge,
    PayInvoice,
    PullAccount,
    Standing,
    VoidInvoice,
)
from temporal.contracts.refund import LookAtRefund, RefundChanged, Refunding, RefundStanding
from temporal.interceptors import ActivityInterceptor
from tests.workflows.reminder_world import histories_of, is_at_rest, register_search_attributes
from tests.workflows.time_limits import TimeLimits
from workflows.billing import BillingWorkflow
from workflows.refund import RefundWorkflow

IDENTITY = "billing-world"
"""Histories are committed: they name no machine."""
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GOOD = AccountPlan(Standing.GOOD)
Meanwhile = Callable[[], Awaitable[object]]


@dataclass
class FakeAccount:
    """What Stripe and the rows of one account answer. `plans`: what the next reads end with, then `plan` each time."""

    account_id: UUID = field(default_factory=new_id)
    plan: AccountPlan = GOOD
    plans: list[AccountPlan] = field(default_factory=list)
    decide: Callable[[datetime], AccountPlan] | None = None
    """Instead of these: what follows from the moment of the read."""
    fence: int = 0
    events: dict[str, str] = field(default_factory=dict)
    """State by id."""
    faults: list[Exception] = field(default_factory=list)
    """Raised by the next attempts to read, one each."""
    meanwhile: list[Meanwhile] = field(default_factory=list)
    """What happens while the next reads are on their way, one each."""
    reads: list[PullAccount] = field(default_factory=list)
    """Those that were stored."""
    done: list[str] = field(default_factory=list)
    """What was written at Stripe."""
    refusals: list[Exception] = field(default_factory=list)
    """Raised by the next attempts to write, one each."""

    def write(self, what: str) -> None:
        """One attempt."""
        if self.refusals:
            raise self.refusals.pop(0)
        self.done.append(what)

    @activity.defn
    async def load_fence(self, request: LoadFence) -> Fence:
        """See `BillingActivities`."""
        return Fence(self.fence)

    @activity.defn
    async def pull_and_apply(self, request: PullAccount) -> AccountPlan:
        """See `BillingActivities`: what is handled is what was there before the read."""
        noted = [event for event, state in self.events.items() if state == "received"]
        if self.meanwhile:
            await self.meanwhile.pop(0)()
        if self.faults:
            raise self.faults.pop(0)
        fence = request.seq * billing.ATTEMPTS + activity.info().attempt
        if fence <= self.fence:
            return AccountPlan(Standing.UNCLEAR, superseded=True)
        self.fence = fence
        self.events |= dict.fromkeys(noted, "applied")
        self.reads.append(request)
        if self.decide is not None:
            return self.decide(request.as_of)
        return self.plans.pop(0) if self.plans else self.plan

    @activity.defn
    async def pay_invoice(self, request: PayInvoice) -> None:
        """See `BillingActivities`."""
        self.write(f"pay {request.card.invoice_id} with {request.card.payment_method_id}")

    @activity.defn
    async def cancel_surplus(self, request: CancelSurplus) -> None:
        """See `BillingActivities`."""
        self.write(f"cancel {request.subscription_id}")

    @activity.defn
    async def void_invoice(self, request: VoidInvoice) -> None:
        """See `BillingActivities`."""
        self.write(f"void {request.invoice_id}")

    @activity.defn
    async def close_checkouts(self, request: CloseCheckouts) -> None:
        """See `BillingActivities`."""
        self.write("close")


@dataclass
class FakeRefund:
    """One refund. `states`: what the next looks show; the last one stays."""

    refund_id: UUID = field(default_factory=new_id)
    states: list[str] = field(default_factory=lambda: ["reserved"])
    cancels: bool = False
    done: list[str] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """Raised by the next attempts to send it, one each."""
    refusals: list[Exception] = field(default_factory=list)
    """Likewise, to look at it."""
    away_until: datetime | None = None
    """Nothing can be sent before."""
    sent_at: list[datetime] = field(default_factory=list)
    """By the clocks of the attempts that were made."""

    def standing(self) -> RefundStanding:
        """As it is now."""
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        is_over = state in ("succeeded", "failed", "canceled")
        return RefundStanding(RefundState(state), is_over=is_over, cancels=self.cancels and state == "reserved")

    @activity.defn
    async def check_refund(self, request: LookAtRefund) -> RefundStanding:
        """See `RefundActivities`."""
        if self.refusals:
            raise self.refusals.pop(0)
        return self.standing()

    @activity.defn
    async def cancel_before_refund(self, request: LookAtRefund) -> None:
        """See `RefundActivities`."""
        self.done.append("cancel")

    @activity.defn
    async def send_refund(self, request: LookAtRefund) -> RefundStanding:
        """See `RefundActivities`."""
        self.sent_at.append(request.now)
        if self.faults:
            raise self.faults.pop(0)
        if self.away_until is not None and request.now < self.away_until:
            raise PaymentsUnavailable("away")
        self.done.append("send")
        return self.standing()

    @activity.defn
    async def conclude_refund(self, request: LookAtRefund) -> RefundStanding:
        """See `RefundActivities`."""
        self.done.append(f"conclude {self.states[0]}")
        return self.standing()


class BillingWorld:
    """One account and one refund of it, and time."""

    def __init__(self, env: WorkflowEnvironment, runner: WorkflowRunner) -> None:
        self.env, self.queue, self.runner = env, f"billing-{uuid.uuid4().hex[:8]}", runner
        self.account, self.refund = FakeAccount(), FakeRefund()
        self.rings = 0

    @property
    def handle(self) -> WorkflowHandle[BillingWorkflow, None]:
        """The account's latest run."""
        return self.env.client.get_workflow_handle_for(BillingWorkflow.run, ids.billing(self.account.account_id))

    async def nudge(self) -> None:
        """What the relay does with an outbox row: signal-with-start."""
        await self.env.client.start_workflow(
            BillingWorkflow.run,
            billing.first_state(billing.nudge_args(self.account.account_id)),
            id=self.handle.id,
            task_queue=self.queue,
            start_signal=billing.NUDGE,
            start_signal_args=[Nudge()],
        )

    async def tell(self, event_id: str) -> None:
        """Stripe says something: the row, then the nudge."""
        self.account.events[event_id] = "received"
        await self.nudge()

    async def ring_refund(self) -> WorkflowHandle[Any, Any]:
        """Likewise, of the refund. Whoever waits for the result lets time pass."""
        self.rings += 1
        return await self.env.client.start_workflow(
            RefundWorkflow.run,
            Refunding(self.account.account_id, self.refund.refund_id),
            id=ids.refund(self.account.account_id, self.refund.refund_id),
            task_queue=self.queue,
            start_signal=refund.CHANGED,
            start_signal_args=[RefundChanged(self.rings)],
        )

    async def now(self) -> datetime:
        """The world's clock."""
        return await self.env.get_current_time()

    async def passes(self, time: timedelta) -> None:
        """Let this much time pass, and everything due by then happen."""
        await self.env.sleep(time)
        await self.settled()

    async def settled(self, handle: WorkflowHandle[Any, Any] | None = None) -> None:
        """The workflow has taken in what happened, and sleeps or has ended."""
        while not await is_at_rest(handle or self.handle):
            await asyncio.sleep(0.005)

    async def histories(self) -> list[WorkflowHistory]:
        """All runs of the account, the latest last."""
        return await histories_of(self.env.client, self.handle.id)

    def worker(self, cached: int = 100) -> Worker:
        """One more process. With 0 it keeps no workflow between two tasks, as one that was just started."""
        account, refund = self.account, self.refund
        return Worker(
            self.env.client,
            task_queue=self.queue,
            identity=IDENTITY,
            workflows=[BillingWorkflow, RefundWorkflow],
            activities=[
                account.load_fence,
                account.pull_and_apply,
                account.pay_invoice,
                account.cancel_surplus,
                account.void_invoice,
                account.close_checkouts,
                refund.check_refund,
                refund.cancel_before_refund,
                refund.send_refund,
                refund.conclude_refund,
            ],
            interceptors=[TimeLimits(), ActivityInterceptor()],
            workflow_runner=self.runner,
            max_cached_workflows=cached,
            # A bug in a workflow task would freeze the clock for everybody; here it ends the workflow instead.
            workflow_failure_exception_types=[Exception],
        )


@asynccontextmanager
async def billing_world(*, runner: WorkflowRunner | None = None, working: bool = True) -> AsyncIterator[BillingWorld]:
    """A world of its own; without `working` its workers are the test's."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity=IDENTITY
    ) as env:
        await register_search_attributes(env.client)
        world = BillingWorld(env, runner or workflow_runner(strict=True))
        if not working:
            yield world
            return
        async with world.worker():
            yield world
