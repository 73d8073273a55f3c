"""Every process of an installation together fits the database (architecture.md, Data conventions)."""

from collections.abc import Iterable, Iterator

from core.db import API_POOL, BILLING_POOL, CALENDAR_POOL, MEDIA_POOL, WORKER_POOL
from infra.local.table import SERVICES
from temporal.queues import CALENDARS, ROLES
from workers.process import POOLS

MAX_CONNECTIONS = 300
RESERVED = 40
"""LISTEN of each relay, a running setup, the superuser, somebody with psql."""
API_PROCESSES = 2
"""A rolling restart has the old and the new one."""
LISTENING = "core"


def connections(processes: Iterable[str]) -> int:
    """What these may take at once: pools, and the direct connection of each relay."""
    return sum(_of(process) for process in processes)


def _of(process: str) -> int:
    if process == "api":
        return API_PROCESSES * API_POOL.total
    role = process.removeprefix("worker-")
    return POOLS.get(role, WORKER_POOL).total + (role == LISTENING)


def _local() -> Iterator[str]:
    return (service.name for service in SERVICES if service.name == "api" or service.name.startswith("worker-"))


def test_the_local_stack_fits_the_database() -> None:
    """Prevents `too many clients already` at the worst moment: when everything restarts at once."""
    assert set(_local()) == {"api", *(f"worker-{role}" for role in ROLES)}, "a role that the local stack does not run"
    assert connections(_local()) <= MAX_CONNECTIONS - RESERVED


def test_all_roles_of_the_finished_platform_fit_the_database() -> None:
    """Two api processes, two workers of the core, two of billing, one per calendar provider, two of media;
    a bigger pool has to take from somebody."""
    calendars = ("worker-calendar",) * len(CALENDARS)
    assert (
        connections(["api", *("worker-core",) * 2, *("worker-billing",) * 2, *calendars, *("worker-media",) * 2])
        <= MAX_CONNECTIONS - RESERVED
    )


def test_a_worker_has_a_connection_for_each_activity_slot() -> None:
    """Prevents activities that time out waiting for each other's connections."""
    activities, local = 30, 16
    assert WORKER_POOL.writes >= activities
    assert WORKER_POOL.total <= activities + local


def test_a_worker_of_calendars_takes_a_third_of_what_others_take() -> None:
    """Its activities hold a connection for the milliseconds between two calls of a provider; three such processes stand
    in the place of one. `tests/calendar/test_pool.py` shows that the slots get by with that."""
    assert POOLS == {"billing": BILLING_POOL, "calendar": CALENDAR_POOL, "media": MEDIA_POOL}
    assert CALENDAR_POOL.total * len(CALENDARS) <= WORKER_POOL.total
