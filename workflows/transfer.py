"""A pet that moves to another household, from the offer to the last row.

Promise: an offer is mailed, and closed after two weeks without an answer; once both sides agree, the pet, its records
and reminders belong to the new household in one step, nothing that is due is lost or said twice, and everything known
of the pet is sealed under the new household's key. Id `household/{from_household_id}/transfer/{transfer_id}`. It ends
when the offer is closed or the pet has moved.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.transfer import TransferActivities
    from temporal.contracts import transfer as contract
    from temporal.contracts.transfer import (
        MailOffer,
        MovePet,
        Offered,
        ResealPet,
        ReviewTransfer,
        TransferChanged,
        TransferPlan,
    )
    from temporal.policies import BULK_PAGE, DB_WRITE, PROVIDER_CALL

STRAGGLERS: timedelta = timedelta(minutes=1)
"""A request that was under way during the move wrote for the old household. None takes so long."""
PAGE_LIMIT = timedelta(minutes=1)
"""A page takes a second; an activity silent for so long has died."""


@workflow.defn(name=contract.WORKFLOW)
class TransferWorkflow:
    """See the module."""

    @workflow.init
    def __init__(self, request: Offered) -> None:
        self.transfer_id = request.transfer_id
        self.announced = 0

    @workflow.run
    async def run(self, request: Offered) -> None:
        """Mail the offer, wait for an answer, move the pet."""
        while True:
            heard = self.announced
            plan = await self.review()
            if plan.move:
                return await self.move()
            if plan.mail:
                await self.mail()
            elif plan.until is not None:
                await self.wait(plan.until, heard)
            else:
                return None

    @workflow.signal(name=contract.CHANGED)
    def changed(self, bell: TransferChanged) -> None:
        """Somebody answered, or took the offer back."""
        self.announced = max(self.announced, bell.seq)

    async def review(self) -> TransferPlan:
        """Read the row, which is closed now if its time has passed."""
        return await workflow.execute_local_activity_method(
            TransferActivities.review_transfer, ReviewTransfer(self.transfer_id, workflow.now()), **DB_WRITE
        )

    async def mail(self) -> None:
        """Tell the recipient; the activity knows when trying has become useless."""
        await workflow.execute_activity_method(
            TransferActivities.mail_offer, MailOffer(self.transfer_id), **PROVIDER_CALL
        )

    async def move(self) -> None:
        """Switch, seal anew, and look once more for what was written at the same moment."""
        await self.switch_and_seal()
        await workflow.sleep(STRAGGLERS)
        await self.switch_and_seal()

    async def switch_and_seal(self) -> None:
        """Each may run twice: both do only what is left to do."""
        await workflow.execute_activity_method(TransferActivities.move_pet, MovePet(self.transfer_id), **PROVIDER_CALL)
        await workflow.execute_activity_method(
            TransferActivities.reseal_pet, ResealPet(self.transfer_id), heartbeat_timeout=PAGE_LIMIT, **BULK_PAGE
        )

    async def wait(self, until: datetime, heard: int) -> None:
        """Sleep until it expires, or until a bell."""
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self.announced > heard, timeout=until - workflow.now())
