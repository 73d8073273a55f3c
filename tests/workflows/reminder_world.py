"""A small world for the reminder's workflow: its rows in memory, a fake notifier, and time that can be skipped.

The rules are the real ones (`domain/`), the activities stand in for Postgres. Times in tests are counted from the
world's beginning.
"""

import asyncio
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from temporalio import activity
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain import reminder_delivery, reminder_machine
from domain.escalation import NOTICE_ONLY, Lead, Policy
from domain.reminder import Plan, State
from domain.reminder_actions import Acknowledge, Action, Complete, End, Pause, Reschedule, Resume, Snooze, Undo
from domain.reminder_delivery import RESEND
from domain.reminder_series import Change, Occurrence, ReminderClass, ReminderState, Series
from domain.schedule_json import Zones, parse_schedule
from temporal import ids, search_attributes
from temporal.client import workflow_runner
from temporal.contracts.reminder import Bell, DeliverOccurrence, PlanReminder
from workflows.reminder import ReminderWorkflow

NEWS = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_TIMER_FIRED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
)
IDENTITY = "reminder-world"
"""Histories are committed: they name no machine."""
ANNA = UUID("0190a000-0000-7000-8000-00000000000a")
Hook = Callable[[], object]


def hours(n: float) -> timedelta:
    """A point of time, from the beginning."""
    return timedelta(hours=n)


def minutes(n: float) -> timedelta:
    """A point of time, from the beginning."""
    return timedelta(minutes=n)


def days(n: float) -> timedelta:
    """A point of time, from the beginning."""
    return timedelta(days=n)


@dataclass
class Rows:
    """What Postgres holds of one reminder."""

    series: Series
    closed: dict[str, Occurrence] = field(default_factory=dict)
    gone: bool = False

    def load(self, now: datetime, *keys: str) -> Series:
        """The series as a loader brings it, with the closed occurrences of these keys."""
        recent = {k for k, o in self.closed.items() if o.instant > now - timedelta(days=3)}
        series = replace(self.series, handled=frozenset(recent if self.series.repeats else ()))
        return series.put(self.closed[key] for key in keys if key in self.closed)

    def save(self, change: Change) -> None:
        """Keep what is open at hand, and the rest as a record."""
        self.closed |= {o.key: o for o in change.series.occurrences if not o.is_open}
        self.series = replace(change.series, occurrences=tuple(o for o in change.series.occurrences if o.is_open))


class FakePostgres:
    """The activities of a reminder over rows in memory: the same names, the same contracts, the same rules."""

    def __init__(self) -> None:
        self.rows: dict[UUID, Rows] = {}
        self.delivered: list[tuple[UUID, datetime, str]] = []
        self.failures: list[Exception] = []
        self.left_behind: list[timedelta] = []
        """After how long what a provider did not take is sent again, one per delivery."""
        self.during: list[Hook] = []
        """Called once each while an activity is running, after it has read its rows."""
        self.plans = 0

    @activity.defn(name="plan_reminder")
    async def plan_reminder(self, request: PlanReminder) -> Plan:
        """See `ReminderActivities`."""
        self.plans += 1
        rows = self.rows[request.reminder_id]
        plan = Plan.over() if rows.gone else reminder_delivery.plan(rows.load(request.now))
        await self._meanwhile()
        return plan

    @activity.defn(name="deliver_occurrence")
    async def deliver_occurrence(self, request: DeliverOccurrence) -> Plan:
        """See `ReminderActivities`."""
        if self.failures:
            raise self.failures.pop(0)
        rows = self.rows[request.reminder_id]
        if rows.gone:
            return Plan.over()
        change = reminder_delivery.deliver(rows.load(request.now), request.now)
        rows.save(change)
        self.delivered += [(request.reminder_id, request.now, notice.step) for notice in change.notices]
        plan = reminder_delivery.plan(rows.series)
        if self.left_behind:
            plan = replace(plan, at=request.now + self.left_behind.pop(0), occurrence=None, step=RESEND)
        await self._meanwhile()
        return plan

    def fail_for_good(self) -> None:
        """The next delivery ends in an error that no retry can mend."""
        self.failures.append(ApplicationError("broken", non_retryable=True))

    async def _meanwhile(self) -> None:
        while self.during:
            result = self.during.pop(0)()
            if asyncio.iscoroutine(result):
                await result


class LiveReminder:
    """One reminder with its rows and its workflow."""

    def __init__(self, world: "ReminderWorld", reminder_id: UUID) -> None:
        self.world, self.id = world, reminder_id
        self.workflow_id = ids.reminder(world.household_id, reminder_id)
        self.seq = 0

    @property
    def rows(self) -> Rows:
        """What Postgres holds."""
        return self.world.postgres.rows[self.id]

    @property
    def handle(self) -> WorkflowHandle[ReminderWorkflow, None]:
        """The latest run."""
        return self.world.env.client.get_workflow_handle_for(ReminderWorkflow.run, self.workflow_id)

    async def ring(self, seq: int | None = None) -> None:
        """What the relay does: signal-with-start."""
        self.seq = self.seq + 1 if seq is None else self.seq
        await self.world.env.client.start_workflow(
            ReminderWorkflow.run,
            State(self.id),
            id=self.workflow_id,
            task_queue=self.world.queue,
            start_signal="changed",
            start_signal_args=[Bell(self.seq if seq is None else seq)],
        )

    async def act(self, action: Action) -> None:
        """The row changes, then the bell rings."""
        await self.change(action)
        await self.ring()

    async def change(self, action: Action) -> None:
        """The row changes; the bell is somebody else's business."""
        now = await self.world.now()
        self.rows.save(reminder_machine.apply(self.rows.load(now, getattr(action, "key", "")), action, now))

    async def snooze(self, until: timedelta) -> None:
        """Remind me again then."""
        due = self.rows.series.due or self.rows.series.pending
        assert due is not None
        await self.act(Snooze(due.key, self.world.start_time + until))

    async def complete(self) -> None:
        """What is open is done."""
        open_one = self.rows.series.due or self.rows.series.pending
        assert open_one is not None
        await self.act(Complete(open_one.key, ANNA))

    async def acknowledge(self) -> None:
        """Somebody has seen what is due."""
        due = self.rows.series.due
        assert due is not None
        await self.act(Acknowledge(due.key, ANNA))

    async def undo(self, key: str) -> None:
        """It was not done after all."""
        await self.act(Undo(key))

    async def reschedule(self, **schedule: object) -> None:
        """Another rule."""
        await self.act(Reschedule(self.world.schedule(**schedule)))

    async def pause(self) -> None:
        """No notices for now."""
        await self.act(Pause())

    async def resume(self) -> None:
        """Notices again."""
        await self.act(Resume())

    async def delete(self) -> None:
        """The row is gone."""
        await self.change(End("deleted"))
        self.rows.gone = True
        await self.ring()

    async def is_running(self) -> bool:
        """Whether a run is open."""
        return (await self.handle.describe()).status is WorkflowExecutionStatus.RUNNING

    async def ended(self) -> None:
        """Wait for the workflow to finish."""
        await self.handle.result()

    async def histories(self) -> list[WorkflowHistory]:
        """All runs, the latest last."""
        return await histories_of(self.world.env.client, self.workflow_id)


async def histories_of(client: Client, workflow_id: str) -> list[WorkflowHistory]:
    """All runs of a workflow, the latest last."""
    handle, found = client.get_workflow_handle(workflow_id), []
    while True:
        history = await handle.fetch_history()
        found.append(history)
        earlier = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
        if not earlier:
            return found[::-1]
        handle = client.get_workflow_handle(workflow_id, run_id=earlier)


async def is_at_rest(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether a workflow has taken in what happened to it, and sleeps or has ended."""
    described = await handle.describe()
    if described.status is not WorkflowExecutionStatus.RUNNING:
        return True
    if described.raw_description.pending_activities:
        return False
    events = (await handle.fetch_history()).events
    last = {event.event_type: event.event_id for event in events}
    return last.get(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, 0) > max(last.get(kind, 0) for kind in NEWS)


async def register_search_attributes(client: Client) -> None:
    """A fresh test server knows none: a start with one fails, an upsert sticks."""
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace="default",
            search_attributes={
                key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in search_attributes.ALL
            },
        )
    )


class ReminderWorld:
    """A time-skipping server, one worker, and reminders."""

    def __init__(self, env: WorkflowEnvironment, start_time: datetime) -> None:
        self.env, self.start_time = env, start_time
        self.postgres = FakePostgres()
        self.queue = f"reminders-{uuid.uuid4().hex[:8]}"
        self.household_id = uuid.uuid4()
        self.zone = "UTC"

    async def now(self) -> datetime:
        """The world's clock."""
        return await self.env.get_current_time()

    async def passes(self, until: timedelta) -> None:
        """Time goes on until this far from the beginning, and everything due by then has happened."""
        # A moment more: what is due at that very instant belongs to it.
        remaining = self.start_time + until + timedelta(seconds=1) - await self.now()
        if remaining > timedelta():
            await self.env.sleep(remaining)
        await self.settled()

    async def settled(self) -> None:
        """Every running workflow has taken in what happened to it, and sleeps."""
        for reminder in self.reminders:
            while not await is_at_rest(reminder.handle):
                await asyncio.sleep(0.005)

    def schedule(self, **raw: object):  # type: ignore[no-untyped-def]
        """A schedule of this world's user."""
        given = raw if raw.get("mode") == "elapsed" else {"tz_mode": "follow_user", **raw}
        return parse_schedule(given, zones=Zones(self.zone, self.zone))

    def wall(self, at: timedelta) -> str:
        """A point of time as UTC wall time, to the second."""
        return (self.start_time + at).astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()

    async def start(self, due: timedelta, freq: str | None = None) -> LiveReminder:
        """A reminder at this time: a single one, or one that repeats."""
        mode: dict[str, object] = {"mode": "fixed", "freq": freq} if freq else {"mode": "once"}
        return await self.start_with(**mode, dtstart_local=self.wall(due))

    async def start_with(
        self, *, policy: Policy = NOTICE_ONLY, leads: tuple[Lead, ...] = (), **schedule: object
    ) -> LiveReminder:
        """A reminder with this schedule: its rows, and the first bell."""
        series = Series(
            policy=policy,
            leads=leads,
            reminder_id=uuid.uuid4(),
            household_id=self.household_id,
            user_id=ANNA,
            pet_id=uuid.uuid4(),
            klass=ReminderClass.ROUTINE,
            state=ReminderState.ACTIVE,
            schedule=self.schedule(**schedule),
            zone=self.zone,
        )
        rows = self.postgres.rows[series.reminder_id] = Rows(series)
        rows.save(reminder_machine.create(series, await self.now()))
        reminder = LiveReminder(self, series.reminder_id)
        await reminder.ring()
        return reminder

    @property
    def reminders(self) -> list[LiveReminder]:
        """All of them."""
        return [LiveReminder(self, reminder_id) for reminder_id in self.postgres.rows]

    @property
    def steps(self) -> list[str]:
        """Which notices went out, in order."""
        return [step for _, _, step in self.postgres.delivered]

    @property
    def delivered_at(self) -> list[timedelta]:
        """When notices went out, from the beginning, to the second."""
        return [
            timedelta(seconds=round((at - self.start_time).total_seconds())) for _, at, _ in self.postgres.delivered
        ]


@asynccontextmanager
async def reminder_world(*, strict: bool = True) -> AsyncIterator[ReminderWorld]:
    """A world of its own: the clock of the time-skipping server is shared by everything on it."""
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter, identity=IDENTITY
    ) as env:
        await register_search_attributes(env.client)
        world = ReminderWorld(env, (await env.get_current_time()).replace(microsecond=0))
        async with Worker(
            env.client,
            task_queue=world.queue,
            identity=IDENTITY,
            workflows=[ReminderWorkflow],
            activities=[world.postgres.plan_reminder, world.postgres.deliver_occurrence],
            workflow_runner=workflow_runner(strict=strict),
            # A bug in a workflow task would freeze the clock for everybody; here it ends the workflow instead.
            workflow_failure_exception_types=[Exception],
        ):
            yield world
