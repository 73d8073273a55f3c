"""Ends uploads that nobody completed, forgets what was refused long ago, and reminds workflows of contents that wait.

Promise: the room that an abandoned upload took is free within minutes of its end, a refusal can be read about for a
month and then leaves nothing, and a content that arrived, or that nobody uses any more, has its workflow, whatever
became of Temporal's database. Id `system/media-sweep`, started by its Schedule; it ends by itself.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.media_sweep import MediaSweepActivities
    from temporal.contracts import media_sweep as contract
    from temporal.contracts.media_sweep import MediaSwept, SweepMedia
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=1)
"""A page takes milliseconds; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class MediaSweepWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: SweepMedia) -> MediaSwept:
        """Page by page."""
        return await workflow.execute_activity_method(
            MediaSweepActivities.sweep_media, request, heartbeat_timeout=PAGE_LIMIT, **BULK_PAGE
        )
