"""Compares reminders with their workflows, both ways, once.

Promise: afterwards every active reminder has been rung that had no workflow, so has every sitter's grant, transfer and
invitation that is not finished, and every workflow without a reminder was told to end. After a loss of Temporal's
database this alone brings all of them back; no reminder fires twice, because an occurrence is claimed by its row.
Id `system/reconcile-{time}`, started by the Schedule; it ends by itself.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconcile import ReconcileActivities
    from temporal.contracts import reconcile as contract
    from temporal.contracts.reconcile import EndOrphans, Reconcile, Reconciled, RingMissing
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=1)
"""A page takes milliseconds; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class ReconcileWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: Reconcile) -> Reconciled:
        """First what is missing, because people wait for it; then what is left over."""
        missing = await workflow.execute_activity_method(
            ReconcileActivities.ring_missing, RingMissing(request.page_size), heartbeat_timeout=PAGE_LIMIT, **BULK_PAGE
        )
        orphans = await workflow.execute_activity_method(
            ReconcileActivities.end_orphans, EndOrphans(request.page_size), heartbeat_timeout=PAGE_LIMIT, **BULK_PAGE
        )
        return Reconciled(
            rows=missing.rows,
            workflows=orphans.workflows,
            missing_rung=missing.rung,
            orphans_rung=orphans.rung,
            orphans_terminated=orphans.terminated,
        )
