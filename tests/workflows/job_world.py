"""A world for a job of the operators: time that can be skipped, its workflow, and the activities of one's choice."""

import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from temporal import ids
from temporal.client import workflow_runner

IDENTITY = "job-world"
"""Histories are committed: they name no machine."""


@dataclass(frozen=True, slots=True)
class JobWorld:
    """A time-skipping server and one worker."""

    env: WorkflowEnvironment
    queue: str
    workflow: type

    async def start(self, request: object) -> WorkflowHandle[Any, Any]:
        """What the Schedule, or the deploy, does."""
        run: Any = self.workflow.run  # type: ignore[attr-defined]
        return await self.env.client.start_workflow(run, request, id=ids.job("job"), task_queue=self.queue)


@asynccontextmanager
async def job_world(workflow: type, *activities: Callable[..., Any]) -> AsyncIterator[JobWorld]:
    """A world of its own."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity=IDENTITY
    ) as env:
        world = JobWorld(env, f"jobs-{uuid.uuid4().hex[:8]}", workflow)
        async with Worker(
            env.client,
            task_queue=world.queue,
            identity=IDENTITY,
            workflows=[workflow],
            activities=activities,
            workflow_runner=workflow_runner(strict=True),
        ):
            yield world
