"""A world for connected calendars: time that can be skipped, providers that do what a test tells them, one worker.

The activities have the names of the real ones and keep a record of when they were asked; what the real ones do with
Postgres and providers is tested where those are.
"""

import asyncio
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowHandle, WorkflowHistory, WorkflowUpdateHandle, WorkflowUpdateStage
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner

from core.ids import new_id
from temporal import ids
from temporal.client import workflow_runner
from temporal.contracts import calendar_sync
from temporal.contracts.calendar_sync import (
    CalendarPlan,
    CalendarState,
    Dirty,
    PullChanges,
    PushRenewed,
    ReconcileBatch,
    RenewPush,
    Standing,
    Synced,
    SyncNow,
)
from temporal.interceptors import ActivityInterceptor
from tests.workflows.reminder_world import histories_of, is_at_rest, register_search_attributes
from tests.workflows.time_limits import TimeLimits
from workflows.calendar_sync import CalendarSyncWorkflow

IDENTITY = "calendar-world"
"""Histories are committed: they name no machine."""
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLL = timedelta(minutes=15)
IDLE = CalendarPlan(Standing.OK, poll_seconds=POLL.total_seconds())
UPSERT = EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
Meanwhile = Callable[[], Awaitable[object]]


def gaps(times: list[datetime]) -> list[timedelta]:
    """The pauses between them."""
    return [later - earlier for earlier, later in pairwise(times)]


@dataclass(frozen=True, slots=True)
class Call:
    """An attempt of an activity: which one, and when by the server's clock."""

    name: str
    at: datetime
    attempt: int


@dataclass
class FakeCalendar:
    """What a provider and the rows of one calendar answer."""

    plan: CalendarPlan = IDLE
    """What every look ends with."""
    batches: int = 0
    """How many batches are left to do."""
    news: bool = True
    """Whether the bells come from the provider; else from edits here."""
    lists: list[datetime] = field(default_factory=list)
    """When the list was read."""
    fault: Exception | None = None
    """Raised by every look as long as it stands."""
    faults: list[Exception] = field(default_factory=list)
    """Raised by the next attempts to look, one each."""
    channel: timedelta | None = None
    """After how long a push channel is half over; None: a renewal is refused."""
    renew_at: datetime | None = None
    meanwhile: list[Meanwhile] = field(default_factory=list)
    """What happens while the next looks are on their way, one each."""
    calls: list[Call] = field(default_factory=list)

    @property
    def has_push(self) -> bool:
        """Whether this provider can tell us of changes."""
        return self.renew_at is not None

    def times(self, name: str = "pull_changes") -> list[datetime]:
        """When this was asked first, without the attempts after it."""
        return [call.at for call in self.calls if call.name == name and call.attempt == 1]

    @property
    def looks(self) -> int:
        """How many times it was looked at, with or without its list."""
        return len(self.times())

    def note(self, name: str) -> None:
        """Keep a record of this attempt."""
        info = activity.info()
        self.calls.append(Call(name, info.started_time, info.attempt))

    def read(self, poll: bool) -> bool:
        """Read the list, if there is reason to."""
        listed = poll or self.news
        if listed:
            self.lists.append(activity.info().started_time)
        return listed

    def answer(self, listed: bool) -> CalendarPlan:
        """The end of a look, or that more is to be done."""
        if self.batches:
            return CalendarPlan(Standing.OK, more=True, listed=listed)
        return replace(self.plan, listed=listed, renew_at=self.renew_at if self.has_push else self.plan.renew_at)


class Providers:
    """The activities of all calendars."""

    def __init__(self) -> None:
        self.calendars: dict[UUID, FakeCalendar] = {}

    @activity.defn
    async def pull_changes(self, request: PullChanges) -> CalendarPlan:
        """See `CalendarSyncActivities`."""
        calendar = self.calendars[request.calendar_link_id]
        calendar.note("pull_changes")
        if calendar.meanwhile:
            await calendar.meanwhile.pop(0)()
        if calendar.faults:
            raise calendar.faults.pop(0)
        if calendar.fault is not None:
            raise calendar.fault
        return calendar.answer(calendar.read(request.poll))

    @activity.defn
    async def reconcile_batch(self, request: ReconcileBatch) -> CalendarPlan:
        """See `CalendarSyncActivities`."""
        calendar = self.calendars[request.calendar_link_id]
        calendar.note("reconcile_batch")
        calendar.batches -= 1
        return calendar.answer(request.listed)

    @activity.defn
    async def renew_push(self, request: RenewPush) -> PushRenewed:
        """See `CalendarPushActivities`."""
        calendar = self.calendars[request.calendar_link_id]
        calendar.note("renew_push")
        if calendar.channel is None:
            raise RuntimeError("the provider refuses channels")
        calendar.renew_at = request.now + calendar.channel
        return PushRenewed(calendar.renew_at)


@dataclass
class LiveCalendar:
    """One connected calendar: what its provider answers, and its workflow. `rings` numbers the bells."""

    world: "CalendarWorld"
    fake: FakeCalendar
    link_id: UUID = field(default_factory=new_id)
    user_id: UUID = field(default_factory=new_id)
    rings: int = 0

    @property
    def handle(self) -> WorkflowHandle[CalendarSyncWorkflow, None]:
        """The latest run."""
        workflow_id = ids.calendar(self.user_id, self.link_id)
        return self.world.env.client.get_workflow_handle_for(CalendarSyncWorkflow.run, workflow_id)

    async def ring(self, seq: int | None = None) -> None:
        """What the relay does with the outbox row: signal-with-start."""
        self.rings += 1
        await self.world.env.client.start_workflow(
            CalendarSyncWorkflow.run,
            calendar_sync.first_state(calendar_sync.bell_args(self.link_id, "google")),
            id=self.handle.id,
            task_queue=self.world.queue,
            start_signal=calendar_sync.DIRTY,
            start_signal_args=[Dirty(seq or self.rings)],
        )

    async def ask(self) -> WorkflowUpdateHandle[Synced]:
        """A person presses the button; the workflow has taken it on."""
        return await self.handle.start_update(
            CalendarSyncWorkflow.sync_now, SyncNow(self.link_id), wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )

    async def status(self) -> CalendarState:
        """What the workflow knows."""
        return await self.handle.query(CalendarSyncWorkflow.status)

    async def details(self) -> str:
        """What an operator reads."""
        said = await self.handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        return str(said.current_details)

    async def commands(self, kind: "EventType.ValueType") -> int:
        """How many events of this kind all runs together have."""
        return sum(event.event_type == kind for run in await self.histories() for event in run.events)

    async def histories(self) -> list[WorkflowHistory]:
        """All runs, the latest last."""
        return await histories_of(self.world.env.client, self.handle.id)


class CalendarWorld:
    """A time-skipping server, one worker, and calendars."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        self.env, self.queue = env, f"calendars-{uuid.uuid4().hex[:8]}"
        self.providers = Providers()
        self.calendars: list[LiveCalendar] = []

    def calendar(self, **fake: Any) -> LiveCalendar:
        """One that nobody has rung yet."""
        calendar = LiveCalendar(self, FakeCalendar(**fake))
        self.calendars.append(calendar)
        self.providers.calendars[calendar.link_id] = calendar.fake
        return calendar

    async def connect(self, **fake: Any) -> LiveCalendar:
        """A person connects a calendar."""
        calendar = self.calendar(**fake)
        await calendar.ring()
        return calendar

    async def now(self) -> datetime:
        """The world's clock."""
        return await self.env.get_current_time()

    async def passes(self, time: timedelta) -> None:
        """Let this much time pass, and everything due by then happen. In slices: the test server breaks a call off
        after ten seconds, and a week of polls on a busy machine takes longer."""
        while time > timedelta(0):
            slice_ = min(time, timedelta(hours=12))
            await self.env.sleep(slice_)
            time -= slice_
        await self.settled()

    async def settled(self) -> None:
        """Every workflow has taken in what happened to it, and sleeps."""
        for calendar in self.calendars:
            while calendar.rings and not await is_at_rest(calendar.handle):
                await asyncio.sleep(0.005)


@asynccontextmanager
async def calendar_world(
    *, runner: WorkflowRunner | None = None, slots: int | None = None
) -> AsyncIterator[CalendarWorld]:
    """A world of its own. `slots`: how many activities the worker carries out at once."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity=IDENTITY
    ) as env:
        await register_search_attributes(env.client)
        world = CalendarWorld(env)
        async with Worker(
            env.client,
            task_queue=world.queue,
            identity=IDENTITY,
            workflows=[CalendarSyncWorkflow],
            activities=[world.providers.pull_changes, world.providers.reconcile_batch, world.providers.renew_push],
            interceptors=[TimeLimits(), ActivityInterceptor()],
            max_concurrent_activities=slots,
            workflow_runner=runner or workflow_runner(strict=True),
            # A bug in a workflow task would freeze the clock for everybody; here it ends the workflow instead.
            workflow_failure_exception_types=[Exception],
        ):
            yield world
