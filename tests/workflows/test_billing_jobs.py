"""The jobs of billing: in which order they ask, and that an outage is outlasted."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from temporal.contracts.billing_ledger import BalanceCompared, CheckLedger, CompareBalance
from temporal.contracts.billing_reconcile import (
    BillingReconciled,
    Compared,
    CompareMoney,
    CompareOurs,
    CompareTheirs,
    ReadPrices,
    ReconcileBilling,
)
from temporal.contracts.billing_resolve import ResolveEvent
from temporal.contracts.billing_sweep import (
    BillingSwept,
    FindMissed,
    MissedFound,
    NudgeWaiting,
    SweepBilling,
    WaitingNudged,
)
from tests.workflows.job_world import job_world
from workflows.billing_ledger import BillingLedgerWorkflow
from workflows.billing_reconcile import BillingReconcileWorkflow
from workflows.billing_resolve import BillingResolveWorkflow
from workflows.billing_sweep import BillingSweepWorkflow

BALANCE = BalanceCompared(movements=9, missing=1, difference={"EUR": 499})


class BillingJobs:
    """Activities that note what they were asked; the first `failures` attempts fail."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[object] = []
        self.failures = failures

    @property
    def activities(self) -> tuple[Callable[..., Any], ...]:
        """All of them."""
        return (
            self.find_missed,
            self.nudge_waiting,
            self.read_prices,
            self.compare_theirs,
            self.compare_ours,
            self.compare_money,
            self.compare_balance,
            self.resolve_event,
        )

    def _note(self, request: object) -> None:
        self.asked.append(request)
        if len(self.asked) <= self.failures:
            raise ApplicationError("Stripe is away")

    @activity.defn
    async def find_missed(self, request: FindMissed) -> MissedFound:
        """See `BillingSweepActivities`."""
        self._note(request)
        return MissedFound(3)

    @activity.defn
    async def nudge_waiting(self, request: NudgeWaiting) -> WaitingNudged:
        """See `BillingSweepActivities`."""
        self._note(request)
        return WaitingNudged(accounts=2, pruned=5)

    @activity.defn
    async def read_prices(self, request: ReadPrices) -> int:
        """See `BillingPriceActivities`."""
        self._note(request)
        return 20

    @activity.defn
    async def compare_theirs(self, request: CompareTheirs) -> Compared:
        """See `BillingReconcileActivities`."""
        self._note(request)
        return Compared(rows=100, drift=2)

    @activity.defn
    async def compare_ours(self, request: CompareOurs) -> Compared:
        """See `BillingReconcileActivities`."""
        self._note(request)
        return Compared(rows=1, drift=1)

    @activity.defn
    async def compare_money(self, request: CompareMoney) -> Compared:
        """See `BillingReconcileActivities`."""
        self._note(request)
        return Compared(rows=10, drift=0)

    @activity.defn
    async def compare_balance(self, request: CompareBalance) -> BalanceCompared:
        """See `BillingLedgerActivities`."""
        self._note(request)
        return BALANCE

    @activity.defn
    async def resolve_event(self, request: ResolveEvent) -> None:
        """See `BillingResolveActivities`."""
        self._note(request)


JOBS: Mapping[tuple[str, str], tuple[type, object]] = {
    ("billing_sweep", "swept"): (BillingSweepWorkflow, SweepBilling()),
    ("billing_sweep", "asked_stripe"): (BillingSweepWorkflow, SweepBilling(asks_stripe=True)),
    ("billing_reconcile", "compared"): (BillingReconcileWorkflow, ReconcileBilling()),
    ("billing_ledger", "compared"): (BillingLedgerWorkflow, CheckLedger()),
    ("billing_resolve", "resolved"): (BillingResolveWorkflow, ResolveEvent("evt_1")),
}
"""Of each job's scenario: its workflow, and what it is started with."""


async def outcome(workflow: type, request: object, jobs: BillingJobs) -> object:
    async with job_world(workflow, *jobs.activities) as world:
        return await (await world.start(request)).result()


async def test_what_is_missing_is_found_before_what_waits_is_rung() -> None:
    jobs = BillingJobs(failures=2)
    assert await outcome(BillingSweepWorkflow, SweepBilling(asks_stripe=True, page_size=9), jobs) == BillingSwept(
        2, 5, 3
    )
    assert [type(each) for each in jobs.asked] == [FindMissed, FindMissed, FindMissed, NudgeWaiting]
    assert len(set(map(str, jobs.asked[:3]))) == 1


async def test_every_five_minutes_stripe_is_not_asked() -> None:
    jobs = BillingJobs()
    assert await outcome(BillingSweepWorkflow, SweepBilling(page_size=9), jobs) == BillingSwept(2, 5, 0)
    assert jobs.asked == [NudgeWaiting(9)]


async def test_ours_are_compared_with_what_was_met_of_theirs() -> None:
    jobs = BillingJobs(failures=1)
    assert await outcome(BillingReconcileWorkflow, ReconcileBilling(), jobs) == BillingReconciled(rows=111, drift=3)
    kinds = [type(each) for each in jobs.asked]
    assert kinds == [ReadPrices, ReadPrices, CompareTheirs, CompareOurs, CompareMoney]
    theirs, ours = jobs.asked[2:4]
    assert isinstance(theirs, CompareTheirs)
    assert isinstance(ours, CompareOurs)
    assert theirs.began_at == ours.began_at


async def test_a_month_is_compared_but_for_the_last_hour() -> None:
    jobs = BillingJobs()
    assert await outcome(BillingLedgerWorkflow, CheckLedger(), jobs) == BALANCE
    (request,) = jobs.asked
    assert isinstance(request, CompareBalance)
    assert request.until - request.since == timedelta(days=35)
