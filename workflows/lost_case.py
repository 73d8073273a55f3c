"""The search for one lost pet: asks every day, ends by itself, and forgets.

Promise: while the pet is missing its people are asked every morning whether it still is; a search that nobody has
answered for in 30 days is closed; 30 days after the end, whatever was written for it is gone. Id
`household/{household_id}/lost/{case_id}`. It ends when all is forgotten. It holds no truth: a bell makes it read the
row anew, and whether the public page says "lost" is read from the row alone.
"""

import asyncio
from contextlib import suppress
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.lost_case import LostCaseActivities
    from domain.lost import SearchStep
    from temporal.contracts import lost_case as contract
    from temporal.contracts.lost_case import ReviewSearch, SearchChanged, SearchOpened, SearchPlan, TakeStep
    from temporal.policies import DB_WRITE

ROUNDS_PER_RUN = 200
"""A hundred days, about 1,500 events: a history that replays quickly."""


@workflow.defn(name=contract.WORKFLOW)
class LostCaseWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, opened: SearchOpened) -> None:
        self.case_id = opened.case_id
        self.announced = 0

    @workflow.run
    async def run(self, opened: SearchOpened) -> None:
        """Until all is forgotten; a search of many months is taken over by a new run."""
        for _ in range(ROUNDS_PER_RUN):
            heard = self.announced
            plan = await self.review()
            if plan.step is None or plan.at is None:
                return
            if plan.at > workflow.now():
                await self.wait(plan.at, heard)
            else:
                await self.take(plan.step)
        workflow.continue_as_new(opened)

    @workflow.signal(name=contract.CHANGED)
    def changed(self, bell: SearchChanged) -> None:
        """Somebody answered, or closed it."""
        self.announced = max(self.announced, bell.seq)

    async def review(self) -> SearchPlan:
        """Read the row: what comes next, and when."""
        plan = await workflow.execute_local_activity_method(
            LostCaseActivities.review_search, ReviewSearch(self.case_id), **DB_WRITE
        )
        workflow.set_current_details(f"{plan.step or 'forgotten'}; next: {plan.at or 'nothing'}")
        return plan

    async def take(self, step: SearchStep) -> None:
        """Each may run twice: the row says whether it was taken."""
        request = TakeStep(self.case_id, workflow.now())
        match step:
            case SearchStep.ASK:
                await workflow.execute_local_activity_method(LostCaseActivities.ask_whether_lost, request, **DB_WRITE)
            case SearchStep.CLOSE:
                await workflow.execute_local_activity_method(LostCaseActivities.close_search, request, **DB_WRITE)
            case SearchStep.WIPE:
                await workflow.execute_local_activity_method(LostCaseActivities.wipe_search, request, **DB_WRITE)

    async def wait(self, until: datetime, heard: int) -> None:
        """Sleep until then, or until a bell."""
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self.announced > heard, timeout=until - workflow.now())
