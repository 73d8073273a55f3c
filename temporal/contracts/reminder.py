"""What crosses the boundary of a reminder's workflow: ids, instants and small enums, nothing else.

Fields are added with defaults, never changed: histories of months ago are read with today's code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.reminder import State

KIND: Final = "reminder"
"""Outbox kind and aggregate prefix of the bell."""
WORKFLOW: Final = "ReminderWorkflow"
CHANGED: Final = "changed"
"""The signal: a bell, nothing else."""


@dataclass(frozen=True, slots=True)
class Bell:
    """Somebody changed the rows. `seq` is the outbox row's, not the schedule's version."""

    seq: int


@dataclass(frozen=True, slots=True)
class PlanReminder:
    """Ask for the plan. `now` is the workflow's clock. `household_id` is that of its id: where the reminder lives in
    another one, another workflow looks after it, and this one is over."""

    reminder_id: UUID
    now: datetime
    household_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class DeliverOccurrence:
    """Carry out a plan. `occurrence` and `step` name it in the history; the rows decide what is due by `now`.
    `household_id`: as of `PlanReminder`."""

    reminder_id: UUID
    now: datetime
    occurrence: str | None = None
    step: str | None = None
    household_id: UUID | None = None


def aggregate(reminder_id: UUID) -> str:
    """The outbox aggregate of a reminder."""
    return f"{KIND}/{reminder_id}"


def bell_args(household_id: UUID, reminder_id: UUID) -> dict[str, object]:
    """What the outbox row carries."""
    return {"household_id": str(household_id), "reminder_id": str(reminder_id)}


def first_state(args: Mapping[str, object]) -> State:
    """The state a new workflow starts with, from the outbox row's args."""
    return State(UUID(str(args["reminder_id"])))
