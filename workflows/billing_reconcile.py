"""Compares everything with Stripe, both ways, and has repaired what differs.

Promise: whatever was changed there without a message, or here by mistake, is found within a day, listed, and read anew.
Id `system/billing-reconcile`, started every night by its Schedule; it ends by itself. Pages are bounded, and a worker
that dies goes on where it was.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.billing_prices import BillingPriceActivities
    from activities.billing_reconcile import BillingReconcileActivities
    from temporal.contracts import billing_reconcile as contract
    from temporal.contracts.billing_reconcile import (
        BillingReconciled,
        CompareMoney,
        CompareOurs,
        CompareTheirs,
        ReadPrices,
        ReconcileBilling,
    )
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=2)
"""A page is a call of Stripe's and a transaction; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class BillingReconcileWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: ReconcileBilling) -> BillingReconciled:
        """What is sold, what they have, what we have, and the money that went back."""
        began_at = workflow.now()
        await workflow.execute_activity_method(
            BillingPriceActivities.read_prices, ReadPrices(began_at), heartbeat_timeout=PAGE_LIMIT, **BULK_PAGE
        )
        theirs = await workflow.execute_activity_method(
            BillingReconcileActivities.compare_theirs,
            CompareTheirs(began_at),
            heartbeat_timeout=PAGE_LIMIT,
            **BULK_PAGE,
        )
        ours = await workflow.execute_activity_method(
            BillingReconcileActivities.compare_ours,
            CompareOurs(began_at, request.page_size),
            heartbeat_timeout=PAGE_LIMIT,
            **BULK_PAGE,
        )
        money = await workflow.execute_activity_method(
            BillingReconcileActivities.compare_money,
            CompareMoney(began_at),
            heartbeat_timeout=PAGE_LIMIT,
            **BULK_PAGE,
        )
        parts = (theirs, ours, money)
        return BillingReconciled(sum(part.rows for part in parts), sum(part.drift for part in parts))
