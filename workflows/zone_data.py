"""Moves pending occurrences to the clocks of new zone data, once per version.

Promise: afterwards every occurrence to come is at the instant that the pinned zone data gives its nominal time, its
workflow knows, what changed is listed, and nothing that fired fires again: identity is the nominal, not the instant
(recurrence.md §4.11). Id `system/zone-data/{version}`; it ends by itself, and its result is the report.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.zone_data import ZoneDataActivities
    from temporal.contracts import zone_data as contract
    from temporal.contracts.zone_data import MoveOccurrences, RolledOver, RollOver
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=1)
"""A page takes seconds; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class ZoneDataWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: RollOver) -> RolledOver:
        """One sweep over what is pending, resumed where it stopped."""
        done = await workflow.execute_activity_method(
            ZoneDataActivities.move_occurrences,
            MoveOccurrences(request.version, request.page_size),
            heartbeat_timeout=PAGE_LIMIT,
            **BULK_PAGE,
        )
        workflow.set_current_details(f"{request.version}: {done.moved} of {done.checked} occurrences moved")
        return done
