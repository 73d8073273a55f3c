"""The floor of a reminder: an entity that waits for an instant and calls an activity that only notes the time."""

import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from core.settings import Settings
    from temporal.client import workflow_runner
    from temporal.policies import PROVIDER_CALL

QUEUE = "bench-noop"


@dataclass(frozen=True, slots=True)
class Due:
    """When to act, and whose turn it is."""

    at: datetime
    number: int


class Effects:
    """Notes that it ran."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @activity.defn
    async def note_effect(self, due: Due) -> None:
        """One line: whose turn, when."""
        os.write(self._file, f"{due.number} {time.time()}\n".encode())


def read(path: Path) -> list[float]:
    """When each effect happened, as noted so far."""
    return [float(line.split()[1]) for line in path.read_text().splitlines()] if path.exists() else []


@workflow.defn
class NoopEntity:
    """Waits, acts, waits for the next day: the shape of a reminder without its meaning."""

    def __init__(self) -> None:
        self.rung = False

    @workflow.run
    async def run(self, due: Due) -> None:
        """Until somebody terminates it."""
        while True:
            await self.wait(due.at)
            await workflow.execute_activity_method(Effects.note_effect, due, **PROVIDER_CALL)
            due = Due(due.at + timedelta(days=1), due.number)

    async def wait(self, until: datetime) -> None:
        """A durable timer that a signal could end."""
        try:
            await workflow.wait_condition(lambda: self.rung, timeout=until - workflow.now())
        except TimeoutError:
            return

    @workflow.signal
    def changed(self) -> None:
        """The bell."""
        self.rung = True


async def connect(settings: Settings) -> Client:
    """Without our codec and interceptors: payloads in clear only make this floor lower."""
    return await Client.connect(
        settings.temporal_address, namespace=settings.temporal_namespace, data_converter=pydantic_data_converter
    )


async def serve(path: Path) -> None:
    """A worker with the numbers of workers/process.py."""
    settings = Settings()
    limits = settings.worker
    worker = Worker(
        await connect(settings),
        task_queue=QUEUE,
        workflows=[NoopEntity],
        activities=[Effects(path).note_effect],
        workflow_runner=workflow_runner(),
        max_cached_workflows=limits.max_cached_workflows,
        max_concurrent_workflow_tasks=limits.max_concurrent_workflow_tasks,
        max_concurrent_activities=limits.max_concurrent_activities,
    )
    print("polling", flush=True)
    await worker.run()
