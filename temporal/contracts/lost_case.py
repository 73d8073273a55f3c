"""The search for a lost pet. Id `household/{household_id}/lost/{case_id}`; started, and rung whenever its row changes,
by outbox rows of kind `lost`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.lost import SearchStep

WORKFLOW: Final = "LostCaseWorkflow"
KIND: Final = "lost"
"""Outbox kind and aggregate prefix of the bell."""
CHANGED: Final = "changed"
"""The signal: a bell, nothing else."""


@dataclass(frozen=True, slots=True)
class SearchOpened:
    """Which row of `lost_cases`; everything else is read from it."""

    case_id: UUID


@dataclass(frozen=True, slots=True)
class SearchChanged:
    """Somebody changed the row. `seq` is the outbox row's."""

    seq: int


@dataclass(frozen=True, slots=True)
class ReviewSearch:
    """Ask what comes next."""

    case_id: UUID


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The next step and when it is due; neither: all is done and forgotten."""

    step: SearchStep | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TakeStep:
    """Take a step that is due by `now`, the workflow's clock. The row decides whether it still is."""

    case_id: UUID
    now: datetime


def aggregate(case_id: UUID) -> str:
    """The outbox aggregate of a search."""
    return f"{KIND}/{case_id}"


def first_state(args: Mapping[str, object]) -> SearchOpened:
    """What a new workflow starts with, from the outbox row's args."""
    return SearchOpened(UUID(str(args["case_id"])))
