"""What a reminder's workflow knows and how it decides: wait, load, deliver or stop.

Pure, and replayed from recorded facts for months: a changed decision of `decide` needs a patch in the workflow
(temporal.md §4.8). Everything about rows stands in `reminder_series`, `reminder_actions` and `reminder_delivery`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class PlanState(StrEnum):
    """What operators see of a reminder: the search attribute `PfState`."""

    ACTIVE = "active"
    PAUSED = "paused"
    OVERDUE = "overdue"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do next and when. `at` is recorded with the plan; None: nothing until somebody rings.

    `occurrence` and `step` say which notice it is, for whoever reads the history; the delivery decides anew.
    """

    at: datetime | None = None
    occurrence: str | None = None
    step: str | None = None
    state: PlanState = PlanState.ACTIVE
    pet_id: UUID | None = None

    @property
    def ended(self) -> bool:
        """Nothing will ever be due again, unless somebody rings."""
        return self.state is PlanState.ENDED

    @classmethod
    def over(cls) -> "Plan":
        """The plan of a series that has ended or whose row is gone."""
        return cls(state=PlanState.ENDED)


@dataclass(frozen=True, slots=True)
class State:
    """Everything a run hands to the next: the last bell heard, the last one obeyed, and the plan read then."""

    reminder_id: UUID
    announced: int = 0
    loaded: int = -1
    plan: Plan = Plan()


@dataclass(frozen=True, slots=True)
class Load:
    """Read the plan from Postgres: somebody rang, or nothing was read yet."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """The plan's time has come."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Wait:
    """Sleep until then (None: for as long as it takes), or until somebody rings."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Stop:
    """The series has ended, and nothing is unheard."""


def decide(state: State, now: datetime) -> Load | Deliver | Wait | Stop:
    """The next move. The bell comes first: a plan made before it counts for nothing."""
    if state.announced > state.loaded:
        return Load()
    if state.plan.ended:
        return Stop()
    if state.plan.at is None or state.plan.at > now:
        return Wait(state.plan.at)
    return Deliver(state.plan)


def heard(state: State, seq: int) -> State:
    """A bell rang. Stale and repeated ones change nothing: `seq` is the outbox row's, a higher one a later commit."""
    return state if seq <= state.announced else replace(state, announced=seq)


def planned(state: State, plan: Plan, seq: int) -> State:
    """A plan was read. `seq` is the last bell heard *before* the reading began: one during it must not be lost."""
    return replace(state, loaded=seq, plan=plan)


def doubted(state: State) -> State:
    """The plan could not be carried out and must be read again."""
    return replace(state, loaded=-1)
