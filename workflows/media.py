"""One uploaded content, from its arrival to its publication, and to its removal.

Promise: it is published once, whole, after it was verified, scanned and decoded, or it is refused with a reason; what
nobody uses any more is removed with every version and rendition. Id `household/{household_id}/media/{asset_id}`. It
ends when nothing is left to do, and is started again by the next bell. It holds no truth: a bell makes it read the row
anew, and a removal ends the work that is under way.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.media import MediaActivities
    from activities.media_examination import MediaExaminationActivities
    from domain.media.reasons import Reason
    from temporal.contracts import media as contract
    from temporal.contracts.media import (
        Finding,
        MediaArrived,
        MediaChanged,
        MediaStanding,
        MediaTask,
        RefuseMedia,
        WorkOnMedia,
    )
    from temporal.policies import DB_WRITE, MEDIA_JOB
    from temporal.search_attributes import STATE

AGAIN_AFTER = timedelta(seconds=5)
"""The first pause before work that was to no avail, such as a rendition that vanished again; each is twice as long as
the one before."""
MOST_DOUBLINGS = 7
"""Ten minutes."""


@workflow.defn(name=contract.WORKFLOW)
class MediaWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, request: MediaArrived) -> None:
        self.asset = WorkOnMedia(request.asset_id)
        self.announced = 0
        self.shown: str | None = None
        self.task: MediaTask | None = None
        self.repeated = 0

    @workflow.run
    async def run(self, request: MediaArrived) -> None:
        """Do what its row says is to be done, until that is nothing and nobody has rung since."""
        while not workflow.info().is_continue_as_new_suggested():
            heard = self.announced
            standing = await self.review()
            self.show(standing)
            if standing.task is MediaTask.REMOVE:
                await self.remove()
            elif standing.task is not MediaTask.NOTHING:
                await self.rest_before(standing.task)
                await self.unless_removed(standing.task, heard)
            elif self.announced == heard:
                return
        workflow.continue_as_new(request)

    @workflow.signal(name=contract.CHANGED)
    def changed(self, bell: MediaChanged) -> None:
        """Its row is another one."""
        self.announced = max(self.announced, bell.seq)

    async def rest_before(self, task: MediaTask) -> None:
        """A pause where the same is to be done once more, unless a bell rings."""
        self.repeated = self.repeated + 1 if task is self.task else 0
        self.task, heard = task, self.announced
        if self.repeated:
            pause = AGAIN_AFTER * 2 ** min(self.repeated - 1, MOST_DOUBLINGS)
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: self.announced > heard, timeout=pause)

    async def unless_removed(self, task: MediaTask, heard: int) -> None:
        """Work until it is done, or a bell says that nobody uses the content any more."""
        work = asyncio.create_task(self.process(task))
        while await self.is_rung_before(work, heard):
            heard = self.announced
            if (await self.review()).task is MediaTask.REMOVE:
                work.cancel()
                with suppress(asyncio.CancelledError, ActivityError):
                    await work
                return
        await work

    async def is_rung_before(self, work: asyncio.Task[None], heard: int) -> bool:
        """Whether a bell comes while the work is under way; otherwise it is over."""
        await workflow.wait_condition(lambda: work.done() or self.announced > heard)
        return not work.done()

    async def process(self, task: MediaTask) -> None:
        """Verify, scan, decode and render, publish; the first step that refuses it is the last one. A scan alone
        changes nothing that is shown."""
        finding = await self.examine(task)
        if finding.reason is not None:
            await self.refuse(finding.reason)
        elif not finding.is_known and task is not MediaTask.RESCAN:
            await self.publish()

    async def examine(self, task: MediaTask) -> Finding:
        """The steps before publication, in their order."""
        finding = Finding()
        if task is MediaTask.PUBLISH:
            finding = await self.verify()
        if _is_clear(finding) and task is not MediaTask.RENDER:
            finding = await self.scan()
        if _is_clear(finding) and task is not MediaTask.RESCAN:
            finding = await self.render()
        return finding

    async def review(self) -> MediaStanding:
        """What its row says. A glance that waits for no slot: those are for files, and may be busy for minutes."""
        return await workflow.execute_local_activity_method(MediaActivities.review_media, self.asset, **DB_WRITE)

    async def verify(self) -> Finding:
        """Is it what was promised?"""
        return await workflow.execute_activity_method(MediaExaminationActivities.verify_media, self.asset, **MEDIA_JOB)

    async def scan(self) -> Finding:
        """Is it harmless? A scanner that is away is waited for."""
        return await workflow.execute_activity_method(MediaExaminationActivities.scan_media, self.asset, **MEDIA_JOB)

    async def render(self) -> Finding:
        """Decode it, and store what will be shown of it."""
        return await workflow.execute_activity_method(MediaExaminationActivities.render_media, self.asset, **MEDIA_JOB)

    async def publish(self) -> None:
        """Show it to its people."""
        await workflow.execute_activity_method(MediaActivities.publish_media, self.asset, **MEDIA_JOB)

    async def refuse(self, reason: Reason) -> None:
        """Tell its people why it is not shown, and delete it."""
        refusal = RefuseMedia(self.asset.asset_id, reason)
        await workflow.execute_activity_method(MediaActivities.refuse_media, refusal, **MEDIA_JOB)

    async def remove(self) -> None:
        """Every version and rendition, then its rows."""
        await workflow.execute_activity_method(MediaActivities.remove_media, self.asset, **MEDIA_JOB)

    def show(self, standing: MediaStanding) -> None:
        """Tell operators how it ended; what they can search for is written when it changes."""
        state = standing.state or "gone"
        if state != self.shown:
            workflow.upsert_search_attributes([STATE.value_set(state)])
        self.shown = state
        workflow.set_current_details(f"{state}; looked at {workflow.now()}")


def _is_clear(finding: Finding) -> bool:
    return finding.reason is None and not finding.is_known
