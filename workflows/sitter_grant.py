"""A sitter's grant, from the offer to its end.

Promise: the sitter is asked, gets the reminders of the pets in scope once the grant begins, and the owners get them
back when it ends or is ended; every evening the owners are told what was done. Id
`household/{household_id}/grant/{grant_id}`. It ends with the grant. It is only the timer: who may see and do what, and
who is reminded, is decided by each query's own clock, also while no worker lives.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.sitter_grant import SitterGrantActivities
    from domain.grant import Step, Todo
    from temporal.contracts import sitter_grant as contract
    from temporal.contracts.sitter_grant import (
        EndGrant,
        GrantChanged,
        Granted,
        MailGrant,
        ReviewGrant,
        StartGrant,
        SummariseGrant,
    )
    from temporal.policies import DB_WRITE, PROVIDER_CALL

A_MOMENT = timedelta(seconds=1)
"""Between two looks: our clock may be ahead of the one that decides."""


@workflow.defn(name=contract.WORKFLOW)
class SitterGrantWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, request: Granted) -> None:
        self.grant_id = request.grant_id
        self.announced = 0

    @workflow.run
    async def run(self, request: Granted) -> None:
        """Ask, hand over, tell of each evening, take back."""
        while not workflow.info().is_continue_as_new_suggested():
            heard = self.announced
            plan = await self.review()
            if plan.step is not None:
                await self.take(plan.step)
            elif plan.until is not None:
                await self.wait(plan.until, heard)
            else:
                return
        workflow.continue_as_new(request)

    @workflow.signal(name=contract.CHANGED)
    def changed(self, bell: GrantChanged) -> None:
        """It was accepted, changed or ended."""
        self.announced = max(self.announced, bell.seq)

    async def review(self) -> Todo:
        """Read the row."""
        return await workflow.execute_local_activity_method(
            SitterGrantActivities.review_grant, ReviewGrant(self.grant_id), **DB_WRITE
        )

    async def take(self, step: Step) -> None:
        """One step; its activity knows when it has become useless, and repeating it does no harm."""
        match step:
            case Step.MAIL:
                await workflow.execute_activity_method(
                    SitterGrantActivities.mail_grant, MailGrant(self.grant_id), **PROVIDER_CALL
                )
            case Step.START:
                await workflow.execute_activity_method(
                    SitterGrantActivities.start_grant, StartGrant(self.grant_id), **PROVIDER_CALL
                )
            case Step.SUMMARISE:
                await workflow.execute_activity_method(
                    SitterGrantActivities.summarise_grant, SummariseGrant(self.grant_id), **PROVIDER_CALL
                )
            case Step.END:
                await workflow.execute_activity_method(
                    SitterGrantActivities.end_grant, EndGrant(self.grant_id), **PROVIDER_CALL
                )

    async def wait(self, until: datetime, heard: int) -> None:
        """Sleep until then, or until a bell."""
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self.announced > heard, timeout=max(until - workflow.now(), A_MOMENT))
