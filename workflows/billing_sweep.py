"""Looks after messages of Stripe that nobody has handled, and after those that never came.

Promise: an account with an unhandled event is rung within minutes, an event that Stripe did not manage to tell is found
within the hour. Ids `system/billing-sweep` and `system/billing-events`, started by their Schedules; it ends by itself.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.billing_sweep import BillingSweepActivities
    from temporal.contracts import billing_sweep as contract
    from temporal.contracts.billing_sweep import BillingSwept, FindMissed, NudgeWaiting, SweepBilling
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=1)
"""A page takes seconds at most; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class BillingSweepWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: SweepBilling) -> BillingSwept:
        """First what is missing, so that it is rung too."""
        missed = 0
        if request.asks_stripe:
            found = await workflow.execute_activity_method(
                BillingSweepActivities.find_missed,
                FindMissed(workflow.now()),
                heartbeat_timeout=PAGE_LIMIT,
                **BULK_PAGE,
            )
            missed = found.missed
        nudged = await workflow.execute_activity_method(
            BillingSweepActivities.nudge_waiting,
            NudgeWaiting(request.page_size),
            heartbeat_timeout=PAGE_LIMIT,
            **BULK_PAGE,
        )
        return BillingSwept(nudged.accounts, nudged.pruned, missed)
