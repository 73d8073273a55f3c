"""Quiet hours move notices, never occurrences (recurrence.md §4.8)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.errors import FieldProblem, Invalid
from domain.recurrence import resolve


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily window on the recipient's clock: start inclusive, end exclusive, over midnight when end < start."""

    start: time
    end: time
    tzid: str

    def __post_init__(self) -> None:
        if self.start == self.end:
            problem = FieldProblem("/quiet_hours", "quiet_hours_empty", "start equals end")
            raise Invalid("quiet hours need a length", errors=(problem,))


def defer(instant: datetime, windows: Iterable[QuietHours]) -> datetime:
    """When a notice due at `instant` may go out: at the end of the window it falls into, repeated until outside all.

    Instants are compared, not wall times: in the second pass of an overlap a window may already have ended.
    """
    windows = tuple(windows)
    # Windows that together cover the day would never let go; a week of hops is more than any real set needs.
    for _ in range(7 * max(1, len(windows)) * 2):
        end = next((end for window in windows if (end := _end_if_inside(instant, window)) is not None), None)
        if end is None:
            return instant
        instant = end
    return instant


def _end_if_inside(instant: datetime, window: QuietHours) -> datetime | None:
    today = instant.astimezone(ZoneInfo(window.tzid)).date()
    for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
        start = resolve(datetime.combine(day, window.start), window.tzid)
        last = day if window.end > window.start else day + timedelta(days=1)
        end = resolve(datetime.combine(last, window.end), window.tzid)
        if start <= instant < end:
            return end
    return None
