"""Quiet hours move notices, never occurrences (recurrence.md §4.8)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.errors import FieldProblem, Invalid
from domain.recurrence import resolve

_LONGEST: Final = timedelta(days=3)
"""No set of windows that leaves a minute of the day free holds a notice longer, skipped dates included."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily window on the recipient's clock: start inclusive, end exclusive, over midnight when end < start.

    Raises `Invalid` (`quiet_hours_empty`) when start equals end.
    """

    start: time
    end: time
    tzid: str

    def __post_init__(self) -> None:
        if self.start == self.end:
            problem = FieldProblem("/quiet_hours", "quiet_hours_empty", "start equals end")
            raise Invalid("Quiet hours need a length.", errors=(problem,))


def defer(instant: datetime, windows: Iterable[QuietHours]) -> datetime:
    """When a notice due at `instant` may go out: at the end of the window it falls into, repeated until outside all.

    Instants are compared, not wall times: in the second pass of an overlap a window may already have ended. Windows
    that together leave no minute free hold nothing back: a notice at the wrong hour is better than none.
    """
    windows = tuple(windows)
    free = instant
    while (end := _end_of_window(free, windows)) is not None:
        if end - instant > _LONGEST:
            return instant
        free = end
    return free


def _end_of_window(instant: datetime, windows: Iterable[QuietHours]) -> datetime | None:
    """The end of a window around the instant; None outside all."""
    for window in windows:
        today = instant.astimezone(ZoneInfo(window.tzid)).date()
        for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
            start = resolve(datetime.combine(day, window.start), window.tzid)
            last = day if window.end > window.start else day + timedelta(days=1)
            end = resolve(datetime.combine(last, window.end), window.tzid)
            if start <= instant < end:
                return end
    return None
