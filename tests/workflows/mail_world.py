"""A world for the mail's workflow: time that can be skipped, and a worker with the activity of one's choice."""

import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from core.ids import new_id
from temporal import ids
from temporal.client import workflow_runner
from temporal.contracts.mail import SendMail
from temporal.interceptors import ActivityInterceptor
from workflows.mail import MailWorkflow


@dataclass(frozen=True, slots=True)
class MailWorld:
    """A time-skipping server and one worker."""

    env: WorkflowEnvironment
    queue: str

    async def now(self) -> datetime:
        """The world's clock."""
        return await self.env.get_current_time()

    async def start(self, request: SendMail) -> WorkflowHandle[MailWorkflow, None]:
        """What the relay does with the outbox row."""
        workflow_id = ids.mail(new_id(), request.delivery_id)
        return await self.env.client.start_workflow(MailWorkflow.run, request, id=workflow_id, task_queue=self.queue)


@asynccontextmanager
async def mail_world(make: Callable[[WorkflowEnvironment], Callable[..., Any]]) -> AsyncIterator[MailWorld]:
    """A world of its own, with the `send_mail` that `make` gives it; errors are mapped as in a real worker."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity="mail-world"
    ) as env:
        world = MailWorld(env, f"mails-{uuid.uuid4().hex[:8]}")
        async with Worker(
            env.client,
            task_queue=world.queue,
            workflows=[MailWorkflow],
            activities=[make(env)],
            interceptors=[ActivityInterceptor()],
            workflow_runner=workflow_runner(strict=True),
        ):
            yield world
