"""What api and workers may ask of Temporal directly. Few things: product reads come from Postgres, actions go by the
outbox.

Knows workflows by id and by the names in `temporal.contracts`; imports no workflow.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.service import RPCError, RPCStatusCode

from core.crypto import KeySource
from core.errors import Unavailable
from core.settings import Settings
from temporal.client import AWAY, CALL_SECONDS, connect, plugin
from temporal.contracts import calendar_sync
from temporal.contracts.calendar_sync import Synced, SyncNow

_HEALTH_SECONDS = 1.0
_STARTING_SECONDS = 0.1
"""Between two looks for a workflow that is being started."""


class NotAccepted(Unavailable):
    """503: no worker has taken it in time. It may still be taken; asking again is harmless."""

    code = "not_accepted"


class RunState(StrEnum):
    """How the latest run of a workflow stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABSENT = "absent"
    """Temporal knows no such workflow: not started yet, or its history expired."""


@dataclass(frozen=True, slots=True)
class Execution:
    """The latest run of a workflow as Temporal sees it; everything but `state` is None when it is absent."""

    state: RunState
    type: str | None = None
    run_id: str | None = None
    started_at: datetime | None = None
    closed_at: datetime | None = None


_STATES = {
    WorkflowExecutionStatus.RUNNING: RunState.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: RunState.RUNNING,
    WorkflowExecutionStatus.COMPLETED: RunState.COMPLETED,
    WorkflowExecutionStatus.CANCELED: RunState.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: RunState.CANCELLED,
}


class Gateway:
    """A client, every call bounded, an outage an answer instead of an error."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def describe(self, workflow_id: str) -> Execution | None:
        """The latest run of this id; None when Temporal does not say within 3 s."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                seen = await self._client.get_workflow_handle(workflow_id).describe()
        except AWAY as error:
            absent = isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND
            return Execution(RunState.ABSENT) if absent else None
        return Execution(
            state=_STATES.get(seen.status, RunState.FAILED) if seen.status else RunState.RUNNING,
            type=seen.workflow_type,
            run_id=seen.run_id,
            started_at=seen.start_time,
            closed_at=seen.close_time,
        )

    async def sync_now(self, workflow_id: str, request: SyncNow, update_id: str) -> Synced | None:
        """Have a calendar synced, and wait for it: how it stands then, or None when it is still under way after 3 s.
        The same `update_id` again asks for the same sync. A workflow that was rung a moment ago may have to be started
        by the relay first. Raises `NotAccepted`."""
        handle = self._client.get_workflow_handle(workflow_id)
        update: WorkflowUpdateHandle[Synced] | None = None
        with suppress(*AWAY, WorkflowUpdateFailedError):  # one that failed is as good as one that is under way
            async with asyncio.timeout(CALL_SECONDS):
                while update is None:
                    update = await _accepted(handle, request, update_id)
                return await update.result()
        if update is None:
            raise NotAccepted("The calendar cannot be synced at once. It will be, as soon as that is possible.")
        return None

    async def last_completed(self, workflow: str) -> datetime | None:
        """When a workflow of this type last ended well; None when Temporal knows of none or does not say within 3 s."""
        ended_well = f"WorkflowType = '{workflow}' AND ExecutionStatus = 'Completed'"
        with suppress(*AWAY):
            async with asyncio.timeout(CALL_SECONDS):
                async for latest in self._client.list_workflows(ended_well, limit=1):  # the last to close comes first
                    return latest.close_time
        return None

    async def pollers(self, queue: str) -> int | None:
        """How many workers have polled a queue in the last five minutes; None when Temporal does not say within 3 s."""
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        with suppress(*AWAY):
            async with asyncio.timeout(CALL_SECONDS):
                return len((await self._client.workflow_service.describe_task_queue(request)).pollers)
        return None

    async def reachable(self) -> bool:
        """Whether Temporal serves, asked within 1 s: for readiness."""
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                return await self._client.service_client.check_health(timeout=timedelta(seconds=_HEALTH_SECONDS))
        except AWAY:
            return False


async def _accepted(
    handle: WorkflowHandle[Any, Any], request: SyncNow, update_id: str
) -> WorkflowUpdateHandle[Synced] | None:
    """The update, once a worker has taken it; None, a moment later, where there is no such workflow yet."""
    try:
        return await handle.start_update(
            calendar_sync.SYNC_NOW,
            request,
            id=update_id,
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            result_type=Synced,
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    await asyncio.sleep(_STARTING_SECONDS)
    return None


async def open_gateway(settings: Settings, keys: KeySource) -> Gateway:
    """A gateway over a lazy client: the process starts while Temporal is away."""
    return Gateway(await connect(settings, plugin(keys, readable=True), lazy=True, runtime=None))
