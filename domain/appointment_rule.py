"""Which wall times the recurrence rule of an appointment names (RFC 5545 §3.3.10): calendar arithmetic.

Reminders have rules of their own (`domain.rule`), which lose no date. An appointment is shared with other calendars, so
its rule means here what it means there: a date that does not exist is passed over.

The days of one period after the other are compared with the parts of the rule, from near the moment that is asked about
to the end of what is asked for. So a rule that never comes true ends, and a series of twenty years costs what a new one
costs; `dateutil.rrule`, which the tests compare this with, searches the first until the year 9999 (four seconds), and
begins the second at its beginning.
"""

from calendar import isleap, monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import count as counter
from itertools import product
from typing import Final
from zoneinfo import ZoneInfo

from domain.recurrence import resolve
from domain.rule import LAST_DATE, Freq

END: Final = datetime.combine(LAST_DATE, time.max)
"""Nothing later is generated."""
LARGEST_SHIFT: Final = timedelta(hours=25)
"""What a change of the clocks can do to a wall time: Samoa left out a date."""
Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """A rule on the clock of `tzid` (None: about whole days, which are midnights here).

    `until` is inclusive: an instant in UTC, or a naive midnight. `days` are (n, weekday), n 0 for every one of them.
    Empty fields follow from the start of the series.
    """

    freq: Freq
    tzid: str | None
    until: datetime | None = None
    count: int | None = None
    interval: int = 1
    seconds: Numbers = ()
    minutes: Numbers = ()
    hours: Numbers = ()
    days: tuple[tuple[int, int], ...] = ()
    monthdays: Numbers = ()
    yeardays: Numbers = ()
    weeknos: Numbers = ()
    months: Numbers = ()
    positions: Numbers = ()
    wkst: int = 0

    def between(self, start: datetime, after: datetime, before: datetime) -> Iterator[datetime]:
        """The wall times of the series that begins at `start`, in order, from `after` to `before` (all naive).

        The start is the first of them whatever the rule says, and counts (RFC 5545 §3.8.5.3).
        """
        if after <= start <= before:
            yield start
        rule, number, before = self._from(start), 1, min(before, self._latest())
        for period in counter(0 if self.count else self._period_before(start.date(), after)):
            span = rule._span(start.date(), period)
            if span is None or span[0] > before.date():
                return
            for nominal in (each for each in rule._in(*span) if each > start):
                number += 1
                if nominal > before or (self.count and number > self.count):
                    return
                if nominal >= after and not self._is_over(nominal):
                    yield nominal

    def _latest(self) -> datetime:
        """A wall time after which nothing can come any more."""
        if self.until is None:
            return END
        local = self.until.astimezone(ZoneInfo(self.tzid)).replace(tzinfo=None) if self.tzid else self.until
        return local + LARGEST_SHIFT

    def _is_over(self, nominal: datetime) -> bool:
        if self.until is None:
            return False
        return (resolve(nominal, self.tzid) if self.tzid else nominal) > self.until

    def _from(self, start: datetime) -> "Recurrence":
        """The rule with what it leaves to the start filled in."""
        rule = replace(
            self,
            hours=self.hours or (start.hour,),
            minutes=self.minutes or (start.minute,),
            seconds=self.seconds or (start.second,),
        )
        if self.days or self.monthdays or self.yeardays or self.freq == "DAILY":
            return rule
        if self.freq == "WEEKLY" or self.weeknos:
            return replace(rule, days=((0, start.weekday()),))
        months = self.months or ((start.month,) if self.freq == "YEARLY" else ())
        return replace(rule, months=months, monthdays=(start.day,))

    def _period_before(self, anchor: date, after: datetime) -> int:
        """A period that begins at least one interval before `after`."""
        match self.freq:
            case "DAILY":
                passed = (after.date() - anchor).days
            case "WEEKLY":
                passed = (after.date() - anchor).days // 7
            case "MONTHLY":
                passed = (after.year - anchor.year) * 12 + after.month - anchor.month
            case "YEARLY":
                passed = after.year - anchor.year
        return max(0, passed // self.interval - 1)

    def _span(self, anchor: date, period: int) -> tuple[date, date] | None:
        """The first and the last day of a period; None beyond LAST_DATE."""
        k = period * self.interval
        if self.freq in ("DAILY", "WEEKLY"):
            into_week = (anchor.weekday() - self.wkst) % 7
            length = 1 if self.freq == "DAILY" else 7
            first = anchor.toordinal() + k * length - (into_week if length == 7 else 0)
            last = first + length - 1
            return None if last > LAST_DATE.toordinal() else (date.fromordinal(first), date.fromordinal(last))
        year, month = divmod(anchor.year * 12 + anchor.month - 1 + k, 12)
        if self.freq == "YEARLY":
            year = anchor.year + k
            return None if year > LAST_DATE.year else (date(year, 1, 1), date(year, 12, 31))
        return (
            None if year > LAST_DATE.year else (date(year, month + 1, 1), date(year, month + 1, _length(year, month)))
        )

    def _in(self, first: date, last: date) -> list[datetime]:
        """The wall times of one period."""
        days = (date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1))
        times = [time(*parts) for parts in product(self.hours, self.minutes, self.seconds)]
        found = [datetime.combine(day, at) for day in days if self._takes(day) for at in times]
        if not self.positions:
            return found
        chosen = {place - 1 if place > 0 else place + len(found) for place in self.positions}
        return [found[index] for index in sorted(chosen) if 0 <= index < len(found)]

    def _takes(self, day: date) -> bool:
        """Whether each part of the rule has this day."""
        return (
            (not self.months or day.month in self.months)
            and (not self.monthdays or _places(day.day, _length(day.year, day.month - 1), self.monthdays))
            and (not self.days or self._takes_weekday(day))
            and (not self.yeardays or _places(_yearday(day), 365 + isleap(day.year), self.yeardays))
            and (not self.weeknos or self._takes_week(day))
        )

    def _takes_weekday(self, day: date) -> bool:
        wanted = {n for n, weekday in self.days if weekday == day.weekday()}
        if not wanted or 0 in wanted:
            return bool(wanted)
        if self.freq == "MONTHLY" or self.months:
            place, length = day.day, _length(day.year, day.month - 1)
        else:
            place, length = _yearday(day), 365 + isleap(day.year)
        return (place - 1) // 7 + 1 in wanted or -((length - place) // 7 + 1) in wanted

    def _takes_week(self, day: date) -> bool:
        """Weeks begin on `wkst`, and the first of a year has four of its days."""
        weeks = _week(day, self.wkst)
        return _places(weeks[1], _week(date(weeks[0], 12, 28), self.wkst)[1], self.weeknos)


def _places(place: int, length: int, wanted: Numbers) -> bool:
    """Whether a place, counted from 1, is wanted, from the front or (negative) from the back."""
    return place in wanted or place - length - 1 in wanted


def _length(year: int, month: int) -> int:
    """Days of a month, which is counted from 0."""
    return monthrange(year, month + 1)[1]


def _yearday(day: date) -> int:
    return day.timetuple().tm_yday


def _week(day: date, wkst: int) -> tuple[int, int]:
    """(year, number) of the week in which a day lies: those of its fourth day."""
    fourth = day + timedelta(days=3 - (day.weekday() - wkst) % 7)
    return fourth.year, (_yearday(fourth) - 1) // 7 + 1
