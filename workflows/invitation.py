"""One invitation to a household, until somebody has answered it or a week has passed.

Promise: its mail is handed to the provider, anew whenever somebody asks for that, and what nobody answered is closed
as expired. Id `household/{household_id}/invitation/{invitation_id}`. It ends when the invitation is closed. It holds no
truth: a bell makes it read the row anew, and whether an invitation can be accepted is read from the row alone.
"""

import asyncio
from contextlib import suppress
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.invitation import InvitationActivities
    from temporal.contracts import invitation as contract
    from temporal.contracts.invitation import (
        InvitationChanged,
        InvitationPlan,
        Invited,
        MailInvitation,
        ReviewInvitation,
    )
    from temporal.policies import DB_WRITE, PROVIDER_CALL


@workflow.defn(name=contract.WORKFLOW)
class InvitationWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, request: Invited) -> None:
        self.invitation_id = request.invitation_id
        self.announced = 0

    @workflow.run
    async def run(self, request: Invited) -> None:
        """Mail it, wait for an answer, mail it again where that was asked for."""
        while True:
            heard = self.announced
            plan = await self.review()
            if plan.mailing is not None:
                await self.mail(plan.mailing)
            elif plan.until is not None:
                await self.wait(plan.until, heard)
            else:
                return

    @workflow.signal(name=contract.CHANGED)
    def changed(self, bell: InvitationChanged) -> None:
        """Somebody answered, revoked, or wants it sent again."""
        self.announced = max(self.announced, bell.seq)

    async def review(self) -> InvitationPlan:
        """Read the row, which is closed now if its time has passed."""
        return await workflow.execute_local_activity_method(
            InvitationActivities.review_invitation, ReviewInvitation(self.invitation_id, workflow.now()), **DB_WRITE
        )

    async def mail(self, mailing: int) -> None:
        """Hand one mail to the provider; the activity knows when trying has become useless."""
        await workflow.execute_activity_method(
            InvitationActivities.mail_invitation, MailInvitation(self.invitation_id, mailing), **PROVIDER_CALL
        )

    async def wait(self, until: datetime, heard: int) -> None:
        """Sleep until it expires, or until a bell."""
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self.announced > heard, timeout=until - workflow.now())
