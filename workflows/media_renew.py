"""Makes renditions anew after a release that makes others, and scans anew after the rules have changed.

Promise: every published content is brought up to date, some at a time, and is shown as it was until then. Id
`system/media-renew`, started every night by its Schedule; it ends by itself, and goes on where it was.
"""

from datetime import timedelta
from uuid import UUID

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.media_renew import MediaRenewActivities
    from temporal.contracts import media_renew as contract
    from temporal.contracts.media_renew import MediaRenewed, OutdatedRung, RenewMedia, RingOutdated
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=1)
"""A page takes milliseconds; an activity silent for so long has died."""
PAGES = 300
"""Of one run: then the next one goes on."""


@workflow.defn(name=contract.WORKFLOW)
class MediaRenewWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: RenewMedia) -> MediaRenewed:
        """A page, a pause, and the next one."""
        after, rung = request.after, request.rung
        for _ in range(PAGES):
            page = await self.ring(after, request.page_size)
            after, rung = page.after, rung + page.rung
            if after is None:
                return MediaRenewed(rung)
            await workflow.sleep(request.pause_seconds, summary="Those who wait for their upload come first")
        workflow.continue_as_new(RenewMedia(after, rung, request.page_size, request.pause_seconds))

    async def ring(self, after: UUID | None, page_size: int) -> OutdatedRung:
        """One page."""
        return await workflow.execute_activity_method(
            MediaRenewActivities.ring_outdated,
            RingOutdated(after, page_size),
            heartbeat_timeout=PAGE_LIMIT,
            **BULK_PAGE,
        )
