"""A worker process from start to drained stop."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker._worker import load_default_build_id

from core.collector import spare_what_lives_on
from core.logging import logger
from core.settings import Settings
from core.telemetry import tracing
from temporal.client import connect_when_up, runtime
from temporal.gateway import Gateway
from temporal.namespace import ensure_namespace
from temporal.queues import ROLES
from workers import registry
from workers.composition import Parts, compose
from workers.health import Readiness, health_server
from workers.lifecycle import first_to_end, stop_on_signals, unless_stopped
from workers.relay import Relay
from workers.watch import Watch

log = logger(__name__)

BUILD_ID_LENGTH: Final = 8
"""Enough to tell releases apart, as in git."""


async def run_worker(settings: Settings, role: str) -> int:
    """Serve the queues of `role` until a signal. Answers the exit code: 1 when something ended that should not have."""
    stop = stop_on_signals()
    sdk = runtime(settings.worker.metrics_port)
    async with AsyncExitStack() as stack:
        traced = stack.enter_context(tracing(f"petfolio-{role}", settings.otlp_endpoint))
        parts = await stack.enter_async_context(compose(settings, sdk, traced=traced))
        gateway = Gateway(parts.temporal)
        readiness = Readiness(parts.db, gateway)
        await stack.enter_async_context(health_server(settings.worker.health_port, readiness))
        relay = Relay(settings, parts.temporal, registry.OUTBOX)
        relaying = asyncio.create_task(relay.run(), name="relay")
        watch = Watch(parts.db, gateway)
        watching = asyncio.create_task(watch.run(), name="watch")
        client = await unless_stopped(connect_when_up(settings, parts.plugin, runtime=sdk), stop)
        clean = client is None or await _poll(client, parts, role, (relaying, watching), readiness, stop)
        relay.stop()
        watch.stop()
        await asyncio.gather(relaying, watching, return_exceptions=True)
    log.info("stopped", role=role, clean=clean)
    return 0 if clean else 1


async def _poll(
    client: Client,
    parts: Parts,
    role: str,
    beside: Sequence[asyncio.Task[None]],
    readiness: Readiness,
    stop: asyncio.Event,
) -> bool:
    await ensure_namespace(client)
    bound = registry.activities(parts)
    workers = [_worker(client, parts.settings, queue, bound) for queue in ROLES[role]]
    polling = [asyncio.create_task(worker.run(), name=f"worker-{worker.task_queue}") for worker in workers]
    readiness.polling = True
    spare_what_lives_on(seldom=5)  # what leaves the workflow cache is held together by cycles: 35 kB each until a look
    log.info("polling", role=role, queues=ROLES[role])
    clean = await first_to_end([*polling, *beside], stop)
    readiness.polling = False
    # Polling stops at once; activities get `graceful_shutdown_seconds` before they are cancelled.
    await asyncio.gather(*(worker.shutdown() for worker in workers), *polling, return_exceptions=True)
    return clean


def _worker(client: Client, settings: Settings, queue: str, bound: registry.Bound) -> Worker:
    """The numbers and their reasons: temporal.md §4.2."""
    limits = settings.worker
    return Worker(
        client,
        task_queue=queue,
        workflows=registry.WORKFLOWS[queue],
        activities=bound[queue],
        max_cached_workflows=limits.max_cached_workflows,
        max_concurrent_workflow_tasks=limits.max_concurrent_workflow_tasks,
        max_concurrent_activities=limits.max_concurrent_activities,
        # At most one per workflow task runs; together with the activities they fit the pool of connections.
        max_concurrent_local_activities=limits.max_concurrent_workflow_tasks,
        graceful_shutdown_timeout=timedelta(seconds=limits.graceful_shutdown_seconds),
        # A fire names it five times in its history; the whole hash would be a tenth of what is kept of it.
        build_id=load_default_build_id()[:BUILD_ID_LENGTH],
    )
