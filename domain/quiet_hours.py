"""Quiet hours move notices, never occurrences (recurrence.md §4.8)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.errors import FieldProblem, Invalid
from domain.recurrence import resolve

_DAY: Final = 24 * 60
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


@dataclass(frozen=True, slots=True)
class Window:
    """A daily window as it is stored: start inclusive, end exclusive, over midnight when end < start."""

    start: time
    end: time

    @property
    def minutes(self) -> int:
        """How long it is on a day on which no clock changes."""
        return (_minute(self.end) - _minute(self.start)) % _DAY


def together(windows: Iterable[Window]) -> tuple[Window, ...]:
    """The windows a person asked for, ordered, each start once with its latest end; overlapping ones stay as they are.

    Raises `Invalid`: `quiet_hours_empty` where start equals end, `quiet_hours_whole_day` when no minute stays free:
    those would hold back nothing at all (see `defer`).
    """
    given = tuple(windows)
    problems = tuple(
        FieldProblem(f"/windows/{n}", "quiet_hours_empty", "start equals end")
        for n, window in enumerate(given)
        if window.start == window.end
    )
    if problems:
        raise Invalid("Quiet hours need a length.", errors=problems)
    longest = {window.start: window for window in sorted(given, key=lambda window: window.minutes)}
    covered = {
        minute % _DAY
        for window in longest.values()
        for minute in range(_minute(window.start), _minute(window.start) + window.minutes)
    }
    if len(covered) == _DAY:
        problem = FieldProblem("/windows", "quiet_hours_whole_day", "no minute of the day stays free")
        raise Invalid("Quiet hours leave some time.", errors=(problem,))
    return tuple(longest[start] for start in sorted(longest))


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


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
