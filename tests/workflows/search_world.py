"""A world for the search for a lost pet: time that can be skipped, a row in memory, one worker.

The activities have the names of the real ones and ask the same rule; what the real ones do with Postgres is tested in
`tests/activities`.
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
from uuid import UUID

from temporalio import activity
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from core.ids import new_id
from domain.lost import Search, SearchStep, next_step
from temporal import ids
from temporal.client import workflow_runner
from temporal.contracts import lost_case
from temporal.contracts.lost_case import ReviewSearch, SearchChanged, SearchOpened, SearchPlan, TakeStep
from temporal.interceptors import ActivityInterceptor
from tests.workflows.reminder_world import histories_of
from workflows.lost_case import LostCaseWorkflow

IDENTITY = "search-world"
"""Histories are committed: they name no machine."""


@dataclass
class Rows:
    """The row of a search, and what was done for it: the step and the day since it was opened."""

    search: Search
    done: list[tuple[str, int]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """Raised by the next steps, one each, before they change anything."""
    lost_answers: int = 0
    """How many of the next steps are done without their caller hearing of it."""

    @activity.defn
    async def review_search(self, request: ReviewSearch) -> SearchPlan:
        coming = next_step(self.search)
        return SearchPlan(coming.step, coming.at) if coming else SearchPlan()

    @activity.defn
    async def ask_whether_lost(self, request: TakeStep) -> None:
        self._take(request, SearchStep.ASK, asked_at=request.now)

    @activity.defn
    async def close_search(self, request: TakeStep) -> None:
        self._take(request, SearchStep.CLOSE, closed_at=request.now)

    @activity.defn
    async def wipe_search(self, request: TakeStep) -> None:
        self._take(request, SearchStep.WIPE, wiped_at=request.now)

    def _take(self, request: TakeStep, step: SearchStep, **change: Any) -> None:
        if self.faults:
            raise self.faults.pop(0)
        coming = next_step(self.search)
        if coming is None or coming.step is not step or coming.at > request.now:
            return
        self.search = replace(self.search, **change)
        self.done.append((step.value, (request.now - self.search.opened_at).days))
        if self.lost_answers:
            self.lost_answers -= 1
            raise RuntimeError("the worker died after its commit")

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        return [self.review_search, self.ask_whether_lost, self.close_search, self.wipe_search]


@dataclass
class SearchWorld:
    """One search. `rings` numbers the bells."""

    env: WorkflowEnvironment
    queue: str
    rows: Rows
    household_id: UUID = field(default_factory=new_id)
    case_id: UUID = field(default_factory=new_id)
    rings: int = 0

    async def ring(self) -> WorkflowHandle[Any, Any]:
        """What the relay does with the outbox row: signal-with-start."""
        self.rings += 1
        return await self.env.client.start_workflow(
            LostCaseWorkflow.run,
            SearchOpened(self.case_id),
            id=ids.lost_case(self.household_id, self.case_id),
            task_queue=self.queue,
            start_signal=lost_case.CHANGED,
            start_signal_args=[SearchChanged(self.rings)],
        )

    async def answer(self, **change: Any) -> None:
        """A person changed the row, and rang."""
        self.rows.search = replace(self.rows.search, **change)
        await self.ring()

    async def histories(self) -> list[WorkflowHistory]:
        """All runs, the latest last."""
        return await histories_of(self.env.client, ids.lost_case(self.household_id, self.case_id))

    async def now(self) -> datetime:
        """The world's clock."""
        return await self.env.get_current_time()

    async def passes(self, time: timedelta) -> None:
        """Let this much time pass."""
        await self.env.sleep(time)


@asynccontextmanager
async def search_world() -> AsyncIterator[SearchWorld]:
    """A world of its own, in which a cat has just been lost."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity=IDENTITY
    ) as env:
        now = await env.get_current_time()
        search = Search(
            opened_at=now,
            answered_at=now,
            asked_at=None,
            closed_at=None,
            wiped_at=None,
            tzid="Europe/Berlin",
            pet_is_here=True,
        )
        rows = Rows(search)
        world = SearchWorld(env, f"searches-{uuid.uuid4().hex[:8]}", rows)
        async with Worker(
            env.client,
            task_queue=world.queue,
            identity=IDENTITY,
            workflows=[LostCaseWorkflow],
            activities=rows.activities,
            interceptors=[ActivityInterceptor()],
            workflow_runner=workflow_runner(strict=True),
        ):
            yield world
