"""The nightly comparison of rows and workflows. Id `system/reconcile`, started by its Schedule."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

WORKFLOW: Final = "ReconcileWorkflow"


@dataclass(frozen=True, slots=True)
class Reconcile:
    """What the Schedule starts it with."""

    page_size: int = 500
    """Rows read and workflows listed at once."""
    grace_seconds: int = 600
    """Rows and workflows younger than this are left alone: visibility lags, and the relay may not have sent them."""


@dataclass(frozen=True, slots=True)
class RingMissing:
    """Ring every active reminder without a running workflow."""

    page_size: int
    grace_seconds: int


@dataclass(frozen=True, slots=True)
class MissingRung:
    """`rows` active reminders were looked at, `rung` of them had no workflow."""

    rows: int = 0
    rung: int = 0


@dataclass(frozen=True, slots=True)
class EndOrphans:
    """End every running reminder workflow whose reminder is gone or ended."""

    page_size: int
    grace_seconds: int


@dataclass(frozen=True, slots=True)
class OrphansEnded:
    """`workflows` were running; `rung` of them were told to look again, `terminated` could not be told."""

    workflows: int = 0
    rung: int = 0
    terminated: int = 0


@dataclass(frozen=True, slots=True)
class RingProgress:
    """Heartbeat of `ring_missing`: continue after `last`."""

    last: UUID | None
    done: MissingRung


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a night found. All zero but the totals is the normal night."""

    rows: int
    workflows: int
    missing_rung: int
    orphans_rung: int
    orphans_terminated: int
