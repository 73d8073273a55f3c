"""Compares rows with objects, both ways, and repairs what differs.

Promise: an object without a row is gone within a day or two, and a content whose renditions are not all there is not
shown, but made anew. Id `system/media-compare`, started every night by its Schedule; it ends by itself, page by page,
and goes on where it was.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.media_compare import MediaCompareActivities
    from temporal.contracts import media_compare as contract
    from temporal.contracts.media_compare import (
        ComparedPart,
        CompareMedia,
        ComparePage,
        MediaCompared,
        PageCompared,
    )
    from temporal.policies import BULK_PAGE

PAGE_LIMIT = timedelta(minutes=2)
"""A page is a thousand keys, or a few dozen contents; an activity silent for so long has died."""
PAGES = 300
"""Of one run: then the next one goes on."""


@workflow.defn(name=contract.WORKFLOW)
class MediaCompareWorkflow:
    """See the module."""

    @workflow.run
    async def run(self, request: CompareMedia) -> MediaCompared:
        """Uploads, what is published, and rows, in this order."""
        part: ComparedPart | None = request.part
        after, looked_at, orphans = request.after, request.looked_at, request.orphans
        for _ in range(PAGES):
            if part is None:
                return MediaCompared(looked_at, orphans)
            page = await self.compare(part, after)
            after, looked_at, orphans = page.after, looked_at + page.looked_at, orphans + page.orphans
            part = part if after is not None else _next(part)
        if part is None:
            return MediaCompared(looked_at, orphans)
        workflow.continue_as_new(CompareMedia(part, after, looked_at, orphans))

    async def compare(self, part: ComparedPart, after: str | None) -> PageCompared:
        """One page."""
        return await workflow.execute_activity_method(
            MediaCompareActivities.compare_page,
            ComparePage(part, after, workflow.now()),
            heartbeat_timeout=PAGE_LIMIT,
            **BULK_PAGE,
        )


def _next(part: ComparedPart) -> ComparedPart | None:
    parts = list(ComparedPart)
    return next(iter(parts[parts.index(part) + 1 :]), None)
