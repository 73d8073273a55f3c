"""`up --reload`: a change of Python code restarts api and workers; the data services never notice."""

from watchfiles import PythonFilter, awatch

from infra.local.site import CHECKOUT
from infra.local.supervisor import Supervisor

_PACKAGES = ("api", "workflows", "activities", "domain", "integrations", "models", "temporal", "workers", "core")


_FILES = PythonFilter(extra_extensions=(".html", ".txt"))


async def reloader(supervisor: Supervisor) -> None:
    """Watch until cancelled. Changes within half a second of each other are one restart."""
    folders = (CHECKOUT / package for package in _PACKAGES)
    async for _ in awatch(*folders, watch_filter=_FILES, debounce=500):
        await supervisor.restart(lambda service: service.reload)
