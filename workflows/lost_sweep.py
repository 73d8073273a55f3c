"""Forgets what finders wrote outside of a search, and rings every search that goes on, once.

Promise: afterwards no report outside a search is older than its time, and each search has its workflow, whatever
became of Temporal's database. Id `system/lost-{time}`, started by the Schedule; it ends by itself.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.lost_sweep import LostSweepActivities
    from temporal.contracts import lost_sweep as contract
    from temporal.contracts.lost_sweep import LostSwept, SweepLost
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=1)
"""A page takes milliseconds; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class LostSweepWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: SweepLost) -> LostSwept:
        """Page by page."""
        return await workflow.execute_activity_method(
            LostSweepActivities.sweep_lost, request, heartbeat_timeout=PAGE_LIMIT, **BULK_PAGE
        )
