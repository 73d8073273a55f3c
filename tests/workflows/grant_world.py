"""A world for the workflow of a sitter's grant: time that can be skipped, a row in memory, one worker.

The rules are the real ones (`domain/grant.py`); what the activities do with Postgres is tested in
`tests/activities/test_sitter_grant.py`.
"""

import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from core.ids import new_id
from domain import grant as rules
from domain.grant import Standing, Todo
from temporal import ids
from temporal.client import workflow_runner
from temporal.contracts import sitter_grant
from temporal.contracts.sitter_grant import (
    EndGrant,
    GrantChanged,
    Granted,
    MailGrant,
    ReviewGrant,
    StartGrant,
    SummariseGrant,
)
from temporal.interceptors import ActivityInterceptor
from workflows.sitter_grant import SitterGrantWorkflow

IDENTITY = "grant-world"
"""Histories are committed: they name no machine."""


@dataclass
class Row:
    """The row of a grant, and what was done for it, in order."""

    env: WorkflowEnvironment
    standing: Standing
    done: list[str] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """Raised by the next activities that have an effect, one each."""

    async def did(self, what: str, **fields: object) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.done.append(what)
        self.standing = replace(self.standing, **fields)  # type: ignore[arg-type]

    @activity.defn
    async def review_grant(self, request: ReviewGrant) -> Todo:
        return rules.todo(self.standing, ["Europe/Berlin"], await self.env.get_current_time())

    @activity.defn
    async def mail_grant(self, request: MailGrant) -> None:
        await self.did("mail", mailed=True)

    @activity.defn
    async def start_grant(self, request: StartGrant) -> None:
        await self.did("start", started_at=await self.env.get_current_time())

    @activity.defn
    async def summarise_grant(self, request: SummariseGrant) -> None:
        await self.did("summary", summarised_at=await self.env.get_current_time())

    @activity.defn
    async def end_grant(self, request: EndGrant) -> None:
        await self.did("end", ended_at=await self.env.get_current_time())

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        return [self.review_grant, self.mail_grant, self.start_grant, self.summarise_grant, self.end_grant]


@dataclass
class GrantWorld:
    """One grant, offered at the beginning. `rings` numbers the bells."""

    env: WorkflowEnvironment
    queue: str
    row: Row
    rings: int = 0

    async def offer(self) -> WorkflowHandle[Any, Any]:
        """What the relay does with the outbox row: signal-with-start."""
        self.rings += 1
        row_id = new_id()
        return await self.env.client.start_workflow(
            SitterGrantWorkflow.run,
            Granted(row_id),
            id=ids.grant(new_id(), row_id),
            task_queue=self.queue,
            start_signal=sitter_grant.CHANGED,
            start_signal_args=[GrantChanged(self.rings)],
        )

    async def change(self, handle: WorkflowHandle[Any, Any], **fields: object) -> None:
        """Somebody changed the row, and rang."""
        self.row.standing = replace(self.row.standing, **fields)  # type: ignore[arg-type]
        await self.ring(handle)

    async def ring(self, handle: WorkflowHandle[Any, Any], seq: int | None = None) -> None:
        """A bell."""
        self.rings += 1
        await handle.signal(sitter_grant.CHANGED, GrantChanged(seq or self.rings))

    async def now(self) -> datetime:
        """The world's clock."""
        return await self.env.get_current_time()

    async def passes(self, time: timedelta) -> None:
        """Let this much time pass."""
        await self.env.sleep(time)


@asynccontextmanager
async def grant_world(begins: timedelta, lasts: timedelta) -> AsyncIterator[GrantWorld]:
    """A world of its own: a grant that begins after a while and lasts so long."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity=IDENTITY
    ) as env:
        start = await env.get_current_time() + begins
        row = Row(env, Standing(accepted=False, valid_from=start, valid_until=start + lasts))
        world = GrantWorld(env, f"grants-{uuid.uuid4().hex[:8]}", row)
        async with Worker(
            env.client,
            task_queue=world.queue,
            identity=IDENTITY,
            workflows=[SitterGrantWorkflow],
            activities=row.activities,
            interceptors=[ActivityInterceptor()],
            workflow_runner=workflow_runner(strict=True),
        ):
            yield world
