"""Sends the digests that are due, once.

Promise: whoever has lines waiting gets them in one mail at the time of day they chose, on their own clock, late by a
quarter of an hour at most. Id `system/digest-{time}`, started by the Schedule; it ends by itself.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.digest import DigestActivities
    from temporal.contracts import digest as contract
    from temporal.contracts.digest import Digests, DigestsEnqueued, EnqueueDigests
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=1)
"""A page takes a second; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class DigestWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: Digests) -> DigestsEnqueued:
        """Everybody for whom lines wait, page by page; the mails are workflows of their own."""
        return await workflow.execute_activity_method(
            DigestActivities.enqueue_digests,
            EnqueueDigests(workflow.now(), request.page_size),
            heartbeat_timeout=PAGE_LIMIT,
            **BULK_PAGE,
        )
