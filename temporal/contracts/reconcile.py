"""The comparison of rows and workflows. Id `system/reconcile`, started every night by its Schedule."""

from dataclasses import dataclass
from typing import Final

WORKFLOW: Final = "ReconcileWorkflow"


@dataclass(frozen=True, slots=True)
class Reconcile:
    """What the Schedule starts it with. `page_size`: rows read, and workflows looked up, at once."""

    page_size: int = 200


@dataclass(frozen=True, slots=True)
class RingMissing:
    """Ring every active reminder that has no running workflow, and every sitter's grant, transfer and invitation that
    is not finished."""

    page_size: int


@dataclass(frozen=True, slots=True)
class MissingRung:
    """`rows` active reminders were looked at; `rung` of them had no workflow."""

    rows: int
    rung: int


@dataclass(frozen=True, slots=True)
class EndOrphans:
    """End every running workflow whose reminder is gone, has ended, or lives in another household now."""

    page_size: int


@dataclass(frozen=True, slots=True)
class OrphansEnded:
    """`workflows` were running; `rung` of them were told to look again, `terminated` could not have ended that way."""

    workflows: int
    rung: int
    terminated: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a run found. In a normal night only the totals are not zero."""

    rows: int
    workflows: int
    missing_rung: int
    orphans_rung: int
    orphans_terminated: int
