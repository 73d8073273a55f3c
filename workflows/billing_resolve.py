"""Whose an event of Stripe's is, asked once.

Promise: an event of an account of ours rings that account; one of nobody's is seen by an operator. Id
`system/billing-resolve/{event_id}`. It ends with its one activity.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.billing_resolve import BillingResolveActivities
    from temporal.contracts import billing_resolve as contract
    from temporal.contracts.billing_resolve import ResolveEvent
    from temporal.policies import BILLING_READ


@workflow.defn(name=contract.WORKFLOW)
class BillingResolveWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: ResolveEvent) -> None:
        """Ask."""
        await workflow.execute_activity_method(BillingResolveActivities.resolve_event, request, **BILLING_READ)
