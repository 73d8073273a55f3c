"""While a household is away: what of it is quiet, and until when (product.md §4.5).

Decided when something falls due or is about to be said, from the absences as they are then: nobody has to be told that
one has ended. Where a sitter who may act is in charge there is none (`models/queries/reminders.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.errors import Conflict, FieldProblem, Invalid

AWAY: Final = "away"
"""Reason of what nobody was asked for, and of what was not said, because nobody was there."""
ROUTINE: Final = ("feeding", "grooming", "other")
"""What an absence is about unless it says otherwise: a dose, a vaccination or a visit is never forgotten by default."""
LONGEST: Final = timedelta(days=366)
LAST_YEAR: Final = 2199
"""As of schedules: far from the ends of what a date can be."""
MOST: Final = 50
"""Absences of a household that are not over."""


class AbsenceState(StrEnum):
    """`over`: its time has passed, or it was ended early, perhaps before it began."""

    COMING = "coming"
    ACTIVE = "active"
    OVER = "over"


class AbsenceOver(Conflict):
    """409: it is over, or was ended: declare a new one."""

    code = "absence_over"


@dataclass(frozen=True, slots=True)
class Absence:
    """From when until when: start inclusive, end exclusive. Of one that was ended early, `ends_at` is that moment."""

    starts_at: datetime
    ends_at: datetime

    def covers(self, moment: datetime) -> bool:
        """Whether they are away then."""
        return self.starts_at <= moment < self.ends_at

    def state(self, now: datetime) -> AbsenceState:
        """What it is now."""
        if self.ends_at <= max(now, self.starts_at):
            return AbsenceState.OVER
        return AbsenceState.COMING if now < self.starts_at else AbsenceState.ACTIVE


def back_at(absences: Iterable[Absence], moment: datetime) -> datetime:
    """When somebody is there again: `moment` itself where nobody is away then. Absences that meet are one."""
    back = moment
    for absence in sorted(absences, key=lambda each: each.starts_at):
        if absence.covers(back):
            back = absence.ends_at
    return back


def check_span(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    """Raises `Invalid` for an end that has passed or lies before the beginning, and for one too far away."""
    if starts_at.year > LAST_YEAR:
        raise _invalid("starts_at", "too_far", f"not after the year {LAST_YEAR}")
    if ends_at <= max(starts_at, now):
        raise _invalid("ends_at", "span_invalid", "it ends after it begins, and in the future")
    if ends_at - starts_at > LONGEST:
        raise _invalid("ends_at", "too_long", f"at most {LONGEST.days} days")


def check_not_over(absence: Absence, now: datetime) -> None:
    """Raises `AbsenceOver`."""
    if absence.state(now) is AbsenceState.OVER:
        raise AbsenceOver("It is over: declare a new one.")


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(f"/{field}", code, detail),))
