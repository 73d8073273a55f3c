"""A world for the workflows of offers (invitations, transfers): time that can be skipped, a row in memory, one worker.

The activities have the names of the real ones and decide from the row as those do; what the real ones do with Postgres
is tested where they are called through the api.
"""

import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from core.ids import new_id
from temporal import ids
from temporal.client import workflow_runner
from temporal.contracts import invitation, transfer
from temporal.contracts.invitation import InvitationChanged, InvitationPlan, Invited, MailInvitation, ReviewInvitation
from temporal.contracts.transfer import (
    MailOffer,
    MovePet,
    Offered,
    ResealPet,
    ReviewTransfer,
    TransferChanged,
    TransferPlan,
)
from temporal.interceptors import ActivityInterceptor
from workflows.invitation import InvitationWorkflow
from workflows.transfer import TransferWorkflow

IDENTITY = "offer-world"
"""Histories are committed: they name no machine."""


@dataclass
class Row:
    """The row of an offer, and what was done for it, in order."""

    expires_at: datetime
    open: bool = True
    accepted: bool = False
    wanted: int = 1
    mailed: int = 0
    done: list[str] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """Raised by the next activities that have an effect, one each."""

    def did(self, what: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.done.append(what)

    def is_over(self, now: datetime) -> bool:
        """Closed, or closed now because its time has passed."""
        if self.open and self.expires_at <= now:
            self.open = False
            self.done.append("expired")
        return not self.open

    @activity.defn
    async def review_invitation(self, request: ReviewInvitation) -> InvitationPlan:
        if self.is_over(request.now):
            return InvitationPlan()
        return InvitationPlan(self.wanted if self.mailed < self.wanted else None, self.expires_at)

    @activity.defn
    async def mail_invitation(self, request: MailInvitation) -> None:
        self.did(f"mail {request.mailing}")
        self.mailed = request.mailing

    @activity.defn
    async def review_transfer(self, request: ReviewTransfer) -> TransferPlan:
        if self.accepted:
            return TransferPlan(move=True)
        return (
            TransferPlan() if self.is_over(request.now) else TransferPlan(mail=not self.mailed, until=self.expires_at)
        )

    @activity.defn
    async def mail_offer(self, request: MailOffer) -> None:
        self.did("mail")
        self.mailed = 1

    @activity.defn
    async def move_pet(self, request: MovePet) -> None:
        self.did("move")

    @activity.defn
    async def reseal_pet(self, request: ResealPet) -> None:
        self.did("reseal")

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        return [
            self.review_invitation,
            self.mail_invitation,
            self.review_transfer,
            self.mail_offer,
            self.move_pet,
            self.reseal_pet,
        ]


@dataclass
class OfferWorld:
    """One offer. `rings` numbers the bells."""

    env: WorkflowEnvironment
    queue: str
    row: Row
    rings: int = 0

    async def invite(self) -> WorkflowHandle[Any, Any]:
        """What the relay does with the outbox row of an invitation."""
        row_id = new_id()
        return await self.start(InvitationWorkflow.run, Invited(row_id), ids.invitation(new_id(), row_id))

    async def offer(self) -> WorkflowHandle[Any, Any]:
        """The same for a transfer."""
        row_id = new_id()
        return await self.start(TransferWorkflow.run, Offered(row_id), ids.transfer(new_id(), row_id))

    async def start(self, run: Any, request: object, workflow_id: str) -> WorkflowHandle[Any, Any]:
        """Signal-with-start."""
        self.rings += 1
        return await self.env.client.start_workflow(
            run,
            request,
            id=workflow_id,
            task_queue=self.queue,
            start_signal=invitation.CHANGED if isinstance(request, Invited) else transfer.CHANGED,
            start_signal_args=[self.bell(request)],
        )

    async def ring(self, handle: WorkflowHandle[Any, Any], seq: int | None = None) -> None:
        """Somebody changed the row."""
        self.rings += 1
        name = invitation.CHANGED if "/invitation/" in handle.id else transfer.CHANGED
        await handle.signal(name, InvitationChanged(seq or self.rings))

    def bell(self, request: object) -> object:
        return InvitationChanged(self.rings) if isinstance(request, Invited) else TransferChanged(self.rings)

    async def passes(self, time: timedelta) -> None:
        """Let this much time pass."""
        await self.env.sleep(time)


@asynccontextmanager
async def offer_world(lasts: timedelta) -> AsyncIterator[OfferWorld]:
    """A world of its own."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity=IDENTITY
    ) as env:
        row = Row(await env.get_current_time() + lasts)
        world = OfferWorld(env, f"offers-{uuid.uuid4().hex[:8]}", row)
        async with Worker(
            env.client,
            task_queue=world.queue,
            identity=IDENTITY,
            workflows=[InvitationWorkflow, TransferWorkflow],
            activities=row.activities,
            interceptors=[ActivityInterceptor()],
            workflow_runner=workflow_runner(strict=True),
        ):
            yield world
