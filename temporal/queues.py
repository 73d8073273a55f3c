"""Task queues: one per resource, not per type of workflow."""

from collections.abc import Mapping
from typing import Final

CORE: Final = "core"
"""All short workflows and quick database activities; the sends, rate-limited. Nothing on it blocks the event loop."""

ROLES: Final[Mapping[str, tuple[str, ...]]] = {"core": (CORE,)}
"""The queues that a worker process of each role polls. The relay runs beside the role `core`."""
