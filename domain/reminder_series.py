"""A reminder's rows as the rules see them: the series, its occurrences, and what a decision changes.

Words (recurrence.md): a *nominal* is the wall-clock time the rule names, an *instant* the UTC moment it happens, an
*occurrence* one nominal with a state of its own. Identity is the key, never the instant.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain import absence
from domain.absence import Absence
from domain.escalation import NOTICE_ONLY, Lead, Policy, Whom
from domain.recurrence import Elapsed, Fixed, Schedule


class ReminderState(StrEnum):
    """Whether the series still plans anything."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class ReminderClass(StrEnum):
    """What is at stake; decides about grace, catch-up and quiet hours (recurrence.md §4.9)."""

    DOSE = "dose"
    ROUTINE = "routine"
    LOST = "lost"
    SECURITY = "security"


class OccurrenceState(StrEnum):
    """`scheduled → due → done | skipped | missed | cancelled`; `coalesced` is born closed."""

    SCHEDULED = "scheduled"
    DUE = "due"
    DONE = "done"
    SKIPPED = "skipped"
    MISSED = "missed"
    CANCELLED = "cancelled"
    COALESCED = "coalesced"


OPEN: Final = frozenset({OccurrenceState.SCHEDULED, OccurrenceState.DUE})
GRACE: Final = {ReminderClass.DOSE: timedelta(hours=4)}
ROUTINE_GRACE: Final = timedelta(hours=12)
LATE_AFTER: Final = timedelta(minutes=1)
"""Schedules are written in minutes: a notice within the minute is on time."""
OVERDUE_MARKS: Final = (timedelta(weeks=1), timedelta(days=30))
EXPIRES_AFTER: Final = timedelta(days=31)
"""When the last occurrence of a counted series closes as missed (recurrence.md §4.6)."""
MAX_SNOOZES: Final = 10
EARLY_WINDOW: Final = timedelta(hours=2)
"""How long before its time a dose may be given unless the reminder says otherwise (product.md §3.2)."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One nominal of a series. Closed ones are immutable facts, but for undo and the correction of a missed one."""

    key: str
    schedule_version: int
    seq: int
    nominal: str
    instant: datetime
    tzid: str | None
    tzdata_version: str
    state: OccurrenceState = OccurrenceState.SCHEDULED
    late: bool = False
    notice_at: datetime | None = None
    notified_at: datetime | None = None
    snooze_count: int = 0
    round_at: datetime | None = None
    rung: int = 0
    lead_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: UUID | None = None
    completed_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: UUID | None = None
    reason: str | None = None

    @property
    def is_open(self) -> bool:
        """Still to be done."""
        return self.state in OPEN

    def closed(self, state: OccurrenceState, at: datetime, *, reason: str | None = None) -> "Occurrence":
        """This one, closed by the passing of time or by a change of the series."""
        return replace(self, state=state, closed_at=at, reason=reason)


@dataclass(frozen=True, slots=True)
class DoseGuard:
    """How long before its time a dose may be given, and how long after the one before it."""

    early_window: timedelta = EARLY_WINDOW
    min_gap: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A dose that was given: of which occurrence, when, by whom; `overridden`: against the guard, with a reason."""

    key: str
    at: datetime
    by: UUID
    overridden: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """One reminder as it stands under its row lock, with its open occurrences and any that an action names.

    `zone` is the one in force now (of the pet's home, the user, or the schedule itself): where it differs from that of
    `schedule`, somebody has moved. `top` is the highest `seq` ever used, `finished` how many of this version were done
    or skipped, `handled` the keys of this version's nominals closed in the last days or ahead of time: what a moved
    zone or an early completion must not bring back. `unsent_at` is when the earliest claimed notice that has not left
    may leave. `last_given` is the latest dose, for the guard. `absences`: when nobody is there to be asked.
    """

    reminder_id: UUID
    household_id: UUID
    user_id: UUID
    pet_id: UUID | None
    klass: ReminderClass
    state: ReminderState
    schedule: Schedule
    zone: str
    ended_reason: str | None = None
    occurrences: tuple[Occurrence, ...] = ()
    top: int = 0
    finished: int = 0
    handled: frozenset[str] = frozenset()
    unsent_at: datetime | None = None
    policy: Policy = NOTICE_ONLY
    leads: tuple[Lead, ...] = ()
    guard: DoseGuard = DoseGuard()
    last_given: Given | None = None
    absences: tuple[Absence, ...] = ()

    @property
    def pending(self) -> Occurrence | None:
        """The next occurrence, not yet due."""
        return next((o for o in self.occurrences if o.state is OccurrenceState.SCHEDULED), None)

    @property
    def due(self) -> Occurrence | None:
        """The latest occurrence that is due and not closed."""
        return next((o for o in reversed(self.occurrences) if o.state is OccurrenceState.DUE), None)

    @property
    def repeats(self) -> bool:
        """Whether the next nominal comes by itself."""
        return is_repeating(self.schedule)

    @property
    def grace(self) -> timedelta | None:
        """How late a notice may still go out. None: however late (`once`, `after_completion`)."""
        return grace_of(self.schedule, self.klass)

    @property
    def next_at(self) -> datetime | None:
        """The instant of the next pending occurrence; of the open one where none is to come."""
        nearest = self.pending or self.due
        return nearest.instant if nearest else None

    def find(self, key: str) -> Occurrence:
        """The occurrence with this key, which the loader brought. Raises KeyError."""
        return {o.key: o for o in self.occurrences}[key]

    def put(self, changed: Iterable[Occurrence]) -> "Series":
        """This series with these occurrences new or changed, in the order of their `seq`."""
        by_key = {o.key: o for o in self.occurrences} | {o.key: o for o in changed}
        ordered = tuple(sorted(by_key.values(), key=lambda o: o.seq))
        return replace(self, occurrences=ordered, top=max((self.top, *(o.seq for o in ordered))))

    def without(self, key: str) -> "Series":
        """This series before that occurrence was planned."""
        return replace(self, occurrences=tuple(o for o in self.occurrences if o.key != key))

    def asked_at(self, planned_at: datetime) -> datetime:
        """When a notice planned for then may go out: not before somebody is there."""
        return absence.back_at(self.absences, planned_at)

    def expired(self, planned_at: datetime, now: datetime) -> bool:
        """Whether a notice planned for then has become useless."""
        return self.grace is not None and now - planned_at > self.grace


def class_of(category: str) -> ReminderClass:
    """What is at stake in a reminder of this category; lost pets and security have no category of their own."""
    return ReminderClass.DOSE if category == "medication" else ReminderClass.ROUTINE


def is_repeating(schedule: Schedule) -> bool:
    """Whether the next nominal comes by itself, whatever became of the last."""
    return isinstance(schedule, Fixed | Elapsed)


def grace_of(schedule: Schedule, klass: ReminderClass) -> timedelta | None:
    """How late a notice may still go out (recurrence.md §4.9). None: however late."""
    if not isinstance(schedule, Fixed | Elapsed):
        return None
    if schedule.grace_minutes is not None:
        return timedelta(minutes=schedule.grace_minutes)
    return GRACE.get(klass, ROUTINE_GRACE)


def closed(before: Series, after: Series) -> Mapping[str, list[str]]:
    """The keys of occurrences that were open, or missed and are corrected, by the state they are in now: what was said
    of them is true no more."""
    told = {o.key: o.state for o in before.occurrences if o.is_open or o.state is OccurrenceState.MISSED}
    states: dict[str, list[str]] = {}
    for occurrence in after.occurrences:
        if not occurrence.is_open and told.get(occurrence.key, occurrence.state) is not occurrence.state:
            states.setdefault(occurrence.state.value, []).append(occurrence.key)
    return states


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to a reminder's people. `step` (`due`, `due+10`, `snooze-{n}`, `lead-{minutes}`, `overdue-{n}`,
    `missed`) is part of the ledger's key; `targets` says for whom, on which channels."""

    key: str
    step: str
    targets: tuple[tuple[Whom, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the caller should know about what was just accepted."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Change:
    """The series after a decision, the notices it calls for, what the caller should be told, and what became of a dose:
    `given` now, or `taken_back` (the key of its occurrence)."""

    series: Series
    notices: tuple[Notice, ...] = ()
    warnings: tuple[Warned, ...] = field(default=())
    given: Given | None = None
    taken_back: str | None = None
