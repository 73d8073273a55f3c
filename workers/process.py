"""A worker process from start to drained stop."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker._worker import load_default_build_id

from core.collector import NEW_OBJECTS, spare_what_lives_on
from core.db import BILLING_POOL, CALENDAR_POOL, MEDIA_POOL, WORKER_POOL
from core.logging import logger
from core.settings import Settings
from core.telemetry import tracing
from temporal.client import connect_when_up, runtime
from temporal.gateway import Gateway
from temporal.namespace import ensure_namespace
from temporal.queues import BILLING, CACHED, CALENDARS, MEDIA, PER_SECOND, ROLES, SLOTS
from workers import registry
from workers.calendar_watch import CalendarWatch
from workers.composition import Parts, compose
from workers.health import Readiness, health_server
from workers.lifecycle import first_to_end, stop_on_signals, unless_stopped
from workers.relay import Relay
from workers.watch import Watch

log = logger(__name__)

RELAYING: Final = "core"
"""The role beside which the outbox is relayed and the platform watched."""
POOLS: Final = {"billing": BILLING_POOL, "calendar": CALENDAR_POOL, "media": MEDIA_POOL}
"""Of roles that need other connections than `WORKER_POOL`."""
BUILD_ID_LENGTH: Final = 8
"""Enough to tell releases apart, as in git."""


async def run_worker(settings: Settings, role: str) -> int:
    """Serve the queues of `role` until a signal. Answers the exit code: 1 when something ended that should not have."""
    stop = stop_on_signals()
    sdk = runtime(settings.worker.metrics_port)
    async with AsyncExitStack() as stack:
        traced = stack.enter_context(tracing(f"petfolio-{role}", settings.otlp_endpoint))
        parts = await stack.enter_async_context(
            compose(
                settings,
                sdk,
                POOLS.get(role, WORKER_POOL),
                traced=traced,
                billing=BILLING in ROLES[role],
                media=MEDIA in ROLES[role],
            )
        )
        gateway = Gateway(parts.temporal)
        readiness = Readiness(parts.db, gateway)
        await stack.enter_async_context(health_server(settings.worker.health_port, readiness))
        loops = _loops(settings, parts, gateway) if role == RELAYING else ()
        beside = [asyncio.create_task(loop.run(), name=type(loop).__name__.lower()) for loop in loops]
        client = await unless_stopped(connect_when_up(settings, parts.plugin, runtime=sdk), stop)
        clean = client is None or await _poll(client, parts, role, beside, readiness, stop)
        for loop in loops:
            loop.stop()
        await asyncio.gather(*beside, return_exceptions=True)
    log.info("stopped", role=role, clean=clean)
    return 0 if clean else 1


def _loops(settings: Settings, parts: Parts, gateway: Gateway) -> tuple[Relay, Watch, CalendarWatch]:
    """What runs beside the queues of `RELAYING`."""
    relay = Relay(settings, parts.temporal, registry.OUTBOX)
    return relay, Watch(parts.db, gateway), CalendarWatch(parts.db, gateway)


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
    served = tuple(queue for queue in queues_of(role, parts.settings) if queue in bound)  # without a key, no billing
    parts.calendars.warm(name for name, queue in CALENDARS.items() if queue in served)
    workers = [_worker(client, parts.settings, queue, bound, share=len(served)) for queue in served]
    polling = [asyncio.create_task(worker.run(), name=f"worker-{worker.task_queue}") for worker in workers]
    readiness.polling = True
    # A run that ended is held together by cycles, 20 kB until it is collected; every look at a calendar ends one.
    often = not set(served).isdisjoint(CALENDARS.values())
    spare_what_lives_on(new_objects=5_000 if often else NEW_OBJECTS, seldom=1 if often else 5)
    log.info("polling", role=role, queues=served)
    clean = await first_to_end([*polling, *beside], stop)
    readiness.polling = False
    # Polling stops at once; activities get `graceful_shutdown_seconds` before they are cancelled.
    await asyncio.gather(*(worker.shutdown() for worker in workers), *polling, return_exceptions=True)
    return clean


def queues_of(role: str, settings: Settings) -> tuple[str, ...]:
    """The queues of a role; of the calendars' those of the providers that this process was given."""
    others = {queue for name, queue in CALENDARS.items() if name not in settings.calendar_providers}
    return tuple(queue for queue in ROLES[role] if queue not in others)


def _worker(client: Client, settings: Settings, queue: str, bound: registry.Bound, share: int) -> Worker:
    """The numbers and their reasons: temporal.md §4.2. The queues of a process share its connections."""
    limits = settings.worker
    slots = min(max(limits.max_concurrent_activities // share, 1), SLOTS.get(queue, limits.max_concurrent_activities))
    return Worker(
        client,
        task_queue=queue,
        workflows=registry.WORKFLOWS[queue],
        activities=bound[queue],
        max_cached_workflows=min(limits.max_cached_workflows, CACHED.get(queue, limits.max_cached_workflows)),
        max_concurrent_workflow_tasks=limits.max_concurrent_workflow_tasks,
        max_concurrent_activities=slots,
        max_task_queue_activities_per_second=PER_SECOND.get(queue),
        # At most one per workflow task runs; together with the activities they fit the pool of connections.
        max_concurrent_local_activities=limits.max_concurrent_workflow_tasks,
        # Told at once rather than shortly before the timeout: a process that is busy is not taken for a dead one.
        max_heartbeat_throttle_interval=timedelta(seconds=5),
        graceful_shutdown_timeout=timedelta(seconds=limits.graceful_shutdown_seconds),
        # A fire names it five times in its history; the whole hash would be a tenth of what is kept of it.
        build_id=load_default_build_id()[:BUILD_ID_LENGTH],
    )
