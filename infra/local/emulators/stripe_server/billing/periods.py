"""Billing periods: instants in seconds, calendar arithmetic in UTC, always counted from the anchor.

An anchor on the 31st bills on the last day of a shorter month and on the 31st again afterwards, because every boundary
is computed from the anchor and never from the boundary before it.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_DAYS: Final = {"day": 1, "week": 7}
_MONTHS: Final = {"month": 1, "year": 12}


@dataclass(frozen=True, slots=True)
class Interval:
    """How often a price recurs: every `count` days, weeks, months or years."""

    unit: str
    count: int = 1

    def after(self, anchor: int, times: int) -> int:
        """The boundary that lies `times` intervals after the anchor; before it when negative."""
        steps, start = self.count * times, datetime.fromtimestamp(anchor, UTC)
        if self.unit in _DAYS:
            return int((start + timedelta(days=steps * _DAYS[self.unit])).timestamp())
        return int(_months_later(start, steps * _MONTHS[self.unit]).timestamp())

    def longest(self) -> int:
        """No period of this interval is longer than so many seconds."""
        days = {"day": 1, "week": 7, "month": 31, "year": 366}[self.unit]
        return days * self.count * 86_400


@dataclass(frozen=True, slots=True)
class Period:
    """From `start`, up to and without `end`."""

    start: int
    end: int

    @property
    def seconds(self) -> int:
        """How long it is."""
        return self.end - self.start


def period_at(anchor: int, interval: Interval, instant: int) -> Period:
    """The period that an instant lies in. Before the anchor that is the one that the anchor ends, or an earlier one."""
    times = (instant - anchor) // interval.longest()
    while interval.after(anchor, times + 1) <= instant:
        times += 1
    while interval.after(anchor, times) > instant:
        times -= 1
    return Period(interval.after(anchor, times), interval.after(anchor, times + 1))


def _months_later(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)
