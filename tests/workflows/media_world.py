"""A world for one upload: time that can be skipped, a row in memory, one worker.

The activities have the names of the real ones; what those do with Postgres and storage is tested in `tests/activities`.
"""

import asyncio
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from temporalio import activity
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from core.ids import new_id
from domain.media.reasons import Reason
from domain.media.state import AssetState
from temporal import ids
from temporal.client import workflow_runner
from temporal.contracts import media
from temporal.contracts.media import (
    Finding,
    MediaArrived,
    MediaChanged,
    MediaStanding,
    MediaTask,
    RefuseMedia,
    WorkOnMedia,
)
from temporal.interceptors import ActivityInterceptor
from tests.workflows.reminder_world import histories_of, register_search_attributes
from workflows.media import MediaWorkflow

IDENTITY = "media-world"
"""Histories are committed: they name no machine."""


@dataclass
class Row:
    """The row of an asset, what is found in it, and what was done."""

    task: MediaTask = MediaTask.PUBLISH
    state: AssetState | None = AssetState.SCANNING
    findings: dict[str, Finding] = field(default_factory=dict)
    """By step; steps that are not named find nothing."""
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    """Raised by the next attempts of a step, one each."""
    vain: int = 0
    """So many publications find a rendition missing."""
    hangs: bool = False
    """The scan goes on until it is cancelled."""
    done: list[str] = field(default_factory=list)
    scanning: asyncio.Event = field(default_factory=asyncio.Event)

    @activity.defn
    async def review_media(self, request: WorkOnMedia) -> MediaStanding:
        return MediaStanding(self.task, self.state)

    @activity.defn
    async def verify_media(self, request: WorkOnMedia) -> Finding:
        finding = self._step("verify")
        if finding.is_known:
            self.task = MediaTask.REMOVE
        return finding

    @activity.defn
    async def scan_media(self, request: WorkOnMedia) -> Finding:
        self.scanning.set()
        while self.hangs:
            activity.heartbeat()
            await asyncio.sleep(0.05)
        finding = self._step("scan")
        if self.task is MediaTask.RESCAN and finding.reason is None:
            self.task = MediaTask.NOTHING
        return finding

    @activity.defn
    async def render_media(self, request: WorkOnMedia) -> Finding:
        return self._step("render")

    @activity.defn
    async def publish_media(self, request: WorkOnMedia) -> None:
        self._step("publish")
        if self.vain > 0:
            self.vain -= 1
            return
        self.task, self.state = MediaTask.NOTHING, AssetState.READY

    @activity.defn
    async def refuse_media(self, request: RefuseMedia) -> None:
        self._step(f"refuse {request.reason}")
        self.task = MediaTask.NOTHING
        self.state = AssetState.QUARANTINED if request.reason is Reason.THREAT else AssetState.REJECTED

    @activity.defn
    async def remove_media(self, request: WorkOnMedia) -> None:
        self._step("remove")
        self.task, self.state = MediaTask.NOTHING, None

    def _step(self, step: str) -> Finding:
        if faults := self.faults.get(step):
            raise faults.pop(0)
        self.done.append(step)
        return self.findings.get(step, Finding())

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        return [
            self.review_media,
            self.verify_media,
            self.scan_media,
            self.render_media,
            self.publish_media,
            self.refuse_media,
            self.remove_media,
        ]


@dataclass
class MediaWorld:
    """One upload. `rings` numbers the bells."""

    env: WorkflowEnvironment
    queue: str
    row: Row
    household_id: UUID = field(default_factory=new_id)
    asset_id: UUID = field(default_factory=new_id)
    rings: int = 0

    async def ring(self) -> WorkflowHandle[Any, Any]:
        """What the relay does with the outbox row: signal-with-start."""
        self.rings += 1
        return await self.env.client.start_workflow(
            MediaWorkflow.run,
            MediaArrived(self.asset_id),
            id=ids.media(self.household_id, self.asset_id),
            task_queue=self.queue,
            start_signal=media.CHANGED,
            start_signal_args=[MediaChanged(self.rings)],
        )

    async def histories(self) -> list[WorkflowHistory]:
        """All runs, the latest last."""
        return await histories_of(self.env.client, ids.media(self.household_id, self.asset_id))


@asynccontextmanager
async def media_world() -> AsyncIterator[MediaWorld]:
    """A world of its own, in which an upload has just been completed."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity=IDENTITY
    ) as env:
        await register_search_attributes(env.client)
        world = MediaWorld(env, f"media-{uuid.uuid4().hex[:8]}", Row())
        async with Worker(
            env.client,
            task_queue=world.queue,
            identity=IDENTITY,
            workflows=[MediaWorkflow],
            activities=world.row.activities,
            interceptors=[ActivityInterceptor()],
            workflow_runner=workflow_runner(strict=True),
        ):
            yield world
