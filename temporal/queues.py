"""Task queues: one per resource, not per type of workflow."""

from typing import Final

CORE: Final = "core"
"""All short workflows and quick database activities; the sends, rate-limited. Nothing on it blocks the event loop."""
