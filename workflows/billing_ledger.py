"""Compares the ledger with Stripe's balance, movement by movement.

Promise: a payment, a refund or a dispute that the ledger does not have, or has otherwise, is found and read anew. Id
`system/billing-ledger`, started every month by its Schedule; it ends by itself.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.billing_ledger import BillingLedgerActivities
    from temporal.contracts import billing_ledger as contract
    from temporal.contracts.billing_ledger import BalanceCompared, CheckLedger, CompareBalance
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=2)
SETTLED = timedelta(hours=1)
"""What is younger may still be on its way here."""


@workflow.defn(name=contract.WORKFLOW)
class BillingLedgerWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: CheckLedger) -> BalanceCompared:
        """Page by page."""
        until = workflow.now() - SETTLED
        return await workflow.execute_activity_method(
            BillingLedgerActivities.compare_balance,
            CompareBalance(until - timedelta(days=request.days), until),
            heartbeat_timeout=PAGE_LIMIT,
            **BULK_PAGE,
        )
