"""What people can do to a reminder, and the words in which it is refused (recurrence.md §3.2, §4.6)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from core.errors import Conflict
from domain.escalation import Policy
from domain.recurrence import Schedule
from domain.reminder_series import DoseGuard, ReminderClass


class AlreadyClosed(Conflict):
    """Somebody, or the passing of time, was quicker. `extra` says who and when."""

    code = "already_closed"


class AlreadyGiven(AlreadyClosed):
    """Another caregiver gave this dose. `extra` says who and when."""

    code = "already_given"


class TooEarly(Conflict):
    """The dose's time has not come. `extra` carries `allowed_from`; an `override_reason` gives it all the same."""

    code = "too_early"


class TooSoon(Conflict):
    """Too little time since the dose before. `extra` carries `next_allowed_at`; an `override_reason` gives it."""

    code = "too_soon"


class UndoWindowClosed(Conflict):
    """The next occurrence has been announced, or the plan was changed since: there is no way back."""

    code = "undo_window_closed"


class SnoozePastNext(Conflict):
    """The notice would come after the next occurrence. `extra` carries `max_until`."""

    code = "snooze_past_next"


class SnoozeLimit(Conflict):
    """Snoozed ten times already."""

    code = "snooze_limit"


class SeriesEnded(Conflict):
    """The series has ended and plans nothing any more."""

    code = "series_ended"


class NotDue(Conflict):
    """Its time has not come: there is nothing to acknowledge."""

    code = "not_due"


@dataclass(frozen=True, slots=True)
class Complete:
    """It is done. `completed_at` corrects the diary; without it, now. `overrides`: against the dose guard, with a
    reason that the caller keeps."""

    key: str
    by: UUID
    completed_at: datetime | None = None
    overrides: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """Not this time."""

    key: str
    by: UUID


@dataclass(frozen=True, slots=True)
class Undo:
    """It was not done (or skipped) after all."""

    key: str


@dataclass(frozen=True, slots=True)
class Snooze:
    """Tell me again then: an instant, or elapsed time from now."""

    key: str
    until: datetime | timedelta


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """I have seen it; it is still to be done."""

    key: str
    by: UUID


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Another rule, in the zone that is in force under it. Equal to the present one: nothing happens."""

    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Configure:
    """Other channels, escalation steps, pre-due notices, class or dose guard; the schedule stays."""

    klass: ReminderClass
    policy: Policy
    leads: tuple[timedelta, ...]
    guard: DoseGuard


@dataclass(frozen=True, slots=True)
class Move:
    """Nothing but what every action does first: obey the zone in force and the zone data of today."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Other people are reminded from now on: they hear what was said already of what is still due."""


@dataclass(frozen=True, slots=True)
class Pause:
    """No notices until resumed."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on from now; what fell due meanwhile is not fired back."""


@dataclass(frozen=True, slots=True)
class End:
    """No notice ever again: `deleted`, `pet_archived`."""

    reason: str


Action = Complete | Skip | Undo | Snooze | Acknowledge | Reschedule | Configure | Move | HandOver | Pause | Resume | End
