"""A world for the job that enqueues digests: time that can be skipped, and an activity that notes what it was asked."""

import shutil
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from temporal import ids
from temporal.client import workflow_runner
from temporal.contracts.digest import Digests, DigestsEnqueued, EnqueueDigests
from workflows.digest import DigestWorkflow


@dataclass
class DigestWorld:
    """A time-skipping server and one worker; the first `failures` attempts fail."""

    env: WorkflowEnvironment
    queue: str
    asked: list[EnqueueDigests] = field(default_factory=list)
    failures: int = 0
    _handle: WorkflowHandle[Any, Any] | None = None

    @activity.defn(name="enqueue_digests")
    async def enqueue_digests(self, request: EnqueueDigests) -> DigestsEnqueued:
        """See `DigestActivities`."""
        self.asked.append(request)
        if len(self.asked) <= self.failures:
            raise ApplicationError("Postgres is away")
        return DigestsEnqueued(people=3, digests=2)

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        """The run."""
        assert self._handle is not None
        return self._handle

    async def run(self) -> DigestsEnqueued:
        """What the Schedule does."""
        self._handle = await self.env.client.start_workflow(
            DigestWorkflow.run, Digests(page_size=50), id=ids.job("digest"), task_queue=self.queue
        )
        result: DigestsEnqueued = await self._handle.result()
        return result


@asynccontextmanager
async def digest_world() -> AsyncIterator[DigestWorld]:
    """A world of its own."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity="digest-world"
    ) as env:
        world = DigestWorld(env, f"digests-{uuid.uuid4().hex[:8]}")
        async with Worker(
            env.client,
            task_queue=world.queue,
            identity="digest-world",
            workflows=[DigestWorkflow],
            activities=[world.enqueue_digests],
            workflow_runner=workflow_runner(strict=True),
        ):
            yield world
