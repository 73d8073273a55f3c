"""`up --reload`: a change of Python code restarts api and workers; the data services never notice."""

from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path

from watchfiles import PythonFilter, awatch

from infra.local.site import CHECKOUT
from infra.local.supervisor import Supervisor

_PACKAGES = ("api", "workflows", "activities", "domain", "integrations", "models", "temporal", "workers", "core")
CODE = tuple(CHECKOUT / package for package in _PACKAGES)
_FILES = PythonFilter(extra_extensions=(".html", ".txt"))


def reloader(folders: Iterable[Path] = CODE) -> Callable[[Supervisor], Coroutine[None, None, None]]:
    """A companion of the supervisor that watches these folders until cancelled.

    Changes within half a second of each other are one restart.
    """

    async def watch(supervisor: Supervisor) -> None:
        async for _ in awatch(*folders, watch_filter=_FILES, debounce=500):
            await supervisor.restart(lambda service: service.reload)

    return watch
