"""Which dates and wall-clock times a rule names (recurrence.md §4.2): calendar arithmetic, no zones.

Everything is computed from the anchor (anchor + k·interval), never from the date before, so a date that was clamped to
a shorter month leaves no trace in the next. RFC 5545 §3.3.10 would ignore dates that do not exist; we take the last day
of the month on purpose (RFC 7529 `SKIP=BACKWARD`): losing a dose or a booster is the wrong failure.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count as counter
from typing import Final, Literal

Freq = Literal["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
Unit = Literal["minute", "hour", "day", "week", "month", "year"]

WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
LAST_DATE: Final = date(2399, 12, 31)
"""Nothing later is generated: a series that gets here is exhausted, however large its interval."""
_LONGEST: Final = {"day": 1, "week": 7, "month": 31, "year": 366}
"""Days a calendar unit can have at most."""


@dataclass(frozen=True, slots=True)
class Every:
    """A distance: `n` units. Months and years are clamped to the length of the month they reach."""

    n: int
    unit: Unit

    @property
    def delta(self) -> timedelta:
        """The elapsed time of minutes and hours. Calendar units have none: ValueError."""
        match self.unit:
            case "minute":
                return timedelta(minutes=self.n)
            case "hour":
                return timedelta(hours=self.n)
            case _:
                raise ValueError(f"a {self.unit} has no fixed length")

    def after(self, day: date, k: int = 1) -> date | None:
        """`day` + k·n units, months and years clamped from `day`; None beyond LAST_DATE."""
        if self.unit in ("day", "week"):
            days = self.n * k * _LONGEST[self.unit]
            return day + timedelta(days=days) if days <= (LAST_DATE - day).days else None
        months = self.n * k * (12 if self.unit == "year" else 1)
        return _day_of_month(_months(day) + months, day.day)

    def fits(self, days: int) -> int:
        """A number of repetitions that certainly fits into that many days: where a search may start."""
        return max(0, days // (self.n * _LONGEST[self.unit]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What repeats on the calendar, from an anchor that is its phase and lower bound.

    `byday` are weekday numbers (Monday 0) in week order from `wkst`; empty means the anchor's. With `nth` the only one
    is the n-th of the month (-1 the last). `monthday` -1 is the last day; None means the anchor's. `count` counts
    nominals, `until` is an inclusive local date.
    """

    freq: Freq
    interval: int = 1
    byday: tuple[int, ...] = ()
    nth: int | None = None
    monthday: int | None = None
    wkst: int = 0
    count: int | None = None
    until: date | None = None

    def nominals(self, anchor: datetime, times: tuple[time, ...], after: date = date.min) -> Iterator[datetime]:
        """The wall-clock times of the rule in order, none before `anchor` (naive); `times` are sorted.

        Those some periods before `after` are passed over in one step, so that a series of 20 years costs no more than
        a new one. `count` is counted from the anchor all the same: each period names equally many, less what the first
        one lost before the anchor.
        """
        first = self._period_before(anchor.date(), after)
        lost = sum(datetime.combine(day, at) < anchor for day in self._dates(anchor.date(), 0) for at in times)
        number = first * len(times) * max(1, len(self.byday)) - lost if first else 0
        for period in counter(first):
            days = self._dates(anchor.date(), period)
            for nominal in (datetime.combine(day, at) for day in days for at in times):
                if nominal < anchor:
                    continue
                number += 1
                if self._is_over(nominal.date(), number):
                    return
                yield nominal
            if not days:
                return

    def clamps(self, anchor: datetime, nominal: datetime) -> bool:
        """Whether the month of this nominal is too short for the day the rule names."""
        if self.nth is not None or self.freq not in ("MONTHLY", "YEARLY"):
            return False
        return (self.monthday or anchor.day) > nominal.day

    def _is_over(self, day: date, number: int) -> bool:
        exhausted = self.count is not None and number > self.count
        return exhausted or day > LAST_DATE or (self.until is not None and day > self.until)

    def _period_before(self, anchor: date, after: date) -> int:
        """A period that begins at least one interval before `after`."""
        match self.freq:
            case "DAILY":
                passed = (after - anchor).days
            case "WEEKLY":
                passed = (after - anchor).days // 7
            case "MONTHLY":
                passed = _months(after) - _months(anchor)
            case "YEARLY":
                passed = after.year - anchor.year
        return max(0, passed // self.interval - 1)

    def _dates(self, anchor: date, period: int) -> list[date]:
        """The dates of one period, in order; empty beyond LAST_DATE."""
        k = period * self.interval
        match self.freq:
            case "DAILY":
                return [anchor + timedelta(days=k)] if k <= (LAST_DATE - anchor).days else []
            case "WEEKLY":
                return self._week(anchor, k)
            case "MONTHLY":
                months = _months(anchor) + k
                day = self._nth_weekday(months) if self.nth else _day_of_month(months, self.monthday or anchor.day)
            case "YEARLY":
                day = _day_of_month(_months(anchor) + 12 * k, anchor.day)
        return [] if day is None else [day]

    def _week(self, anchor: date, weeks: int) -> list[date]:
        if weeks * 7 > (LAST_DATE - anchor).days + 7:
            return []
        week = anchor - timedelta(days=(anchor.weekday() - self.wkst) % 7) + timedelta(weeks=weeks)
        return [week + timedelta(days=(day - self.wkst) % 7) for day in self.byday or (anchor.weekday(),)]

    def _nth_weekday(self, months: int) -> date | None:
        first = _day_of_month(months, 1)
        last = _day_of_month(months, -1)
        if first is None or last is None or self.nth is None:
            return None
        (weekday,) = self.byday
        if self.nth > 0:
            return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (self.nth - 1))
        return last - timedelta(days=(last.weekday() - weekday) % 7)


def _months(day: date) -> int:
    """Months since year 0."""
    return day.year * 12 + day.month - 1


def _day_of_month(months: int, day: int) -> date | None:
    """The `day` of a month counted from year 0, or its last day where the month is shorter (`day` -1: always)."""
    year, month = divmod(months, 12)
    if year > LAST_DATE.year:
        return None
    length = monthrange(year, month + 1)[1]
    return date(year, month + 1, length if day == -1 else min(day, length))
