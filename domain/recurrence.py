"""When a reminder is due: rules, nominals, instants (recurrence.md; public deviation from RFC 5545 in docs/product.md).

Words. *Nominal*: the wall-clock date and time a rule names, without zone. *Instant*: the UTC moment it happens.
*Anchor*: `start`, the phase and lower bound of a series. Nominals are computed from the anchor (anchor + k·interval),
never from the previous occurrence, so a clamped or shifted one leaves no trace in the next.

Pure: no clock (`after` and `now` are arguments), no I/O but the pinned zone data. Never called from workflow code.
"""

import zoneinfo
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count as counter
from typing import Literal

import tzdata

Freq = Literal["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
Unit = Literal["minute", "hour", "day", "week", "month", "year"]
TzMode = Literal["pet_home", "follow_user", "fixed"]
Shift = Literal["gap", "overlap_first", "clamped"]

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
ZONES = frozenset(zoneinfo.available_timezones())
TZDATA_VERSION: str = tzdata.IANA_VERSION
LAST_DATE = date(2399, 12, 31)
"""Nothing later is generated: a series that gets here is exhausted, however large its interval."""
ALL_DAY_AT = time(8)
"""When an all-day nominal is announced, in the zone of its schedule, unless a person's digest says otherwise."""
_LARGEST_SHIFT = timedelta(hours=25)  # Samoa skipped a whole date in 2011; an hour of margin on top


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wall:
    """What the modes that live on a wall clock share. `start` is naive; `all_day` means its time is meaningless."""

    start: datetime
    all_day: bool = False
    tzid: str
    tz_mode: TzMode = "pet_home"
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(_Wall):
    """A rule on the calendar. `byday` holds weekday numbers (Monday 0); `nth` makes the only one of them the n-th of
    the month. `monthday` -1 is the last day. `count` counts nominals, `until` is an inclusive local date."""

    freq: Freq
    interval: int = 1
    byday: tuple[int, ...] = ()
    nth: int | None = None
    monthday: int | None = None
    wkst: int = 0
    times: tuple[time, ...]
    count: int | None = None
    until: date | None = None
    grace_minutes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Once(_Wall):
    """A single nominal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterCompletion(_Wall):
    """Due again `every` after it was done, at `at`. `start` is the first due; `count` counts done and skipped."""

    every: Every
    at: time
    count: int | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elapsed:
    """Every so many minutes or hours of physical time from `start_at` (aware UTC). No zone, never re-anchored."""

    start_at: datetime
    every: Every
    version: int = 1
    grace_minutes: int | None = None


Schedule = Fixed | Once | AfterCompletion | Elapsed


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One nominal that fires. `coalesced` are nominals of the same instant that it stands for.

    `key` is its identity within the reminder, whatever later happens to zones or zone data.
    """

    key: str
    nominal: str
    instant: datetime
    tzid: str | None
    shift: tuple[Shift, ...] = ()
    coalesced: tuple[str, ...] = ()

    @property
    def local(self) -> datetime:
        """The instant on the clock of the schedule's zone (UTC for elapsed ones)."""
        return self.instant.astimezone(zoneinfo.ZoneInfo(self.tzid)) if self.tzid else self.instant


def resolve(nominal: datetime, tzid: str) -> datetime:
    """The instant of a naive nominal, in UTC.

    `fold=0` is both rules (PEP 495): inside a gap the offset before it, so the nominal moves forward by the gap;
    inside an overlap the first pass.
    """
    return nominal.replace(tzinfo=zoneinfo.ZoneInfo(tzid), fold=0).astimezone(UTC)


def expand(schedule: Schedule, after: datetime, n: int) -> list[Occurrence]:
    """The first `n` occurrences strictly later than `after` (aware), ordered by instant.

    Fewer when the series ends before. `after_completion` knows only its first due: what follows depends on people.
    """
    if n <= 0:
        return []
    match schedule:
        case Fixed():
            return _expand_fixed(schedule, after, n)
        case Elapsed():
            return _expand_elapsed(schedule, after, n)
        case Once() | AfterCompletion():
            first = first_due(schedule)
            return [first] if first is not None and first.instant > after else []


def next_after(schedule: Schedule, after: datetime) -> Occurrence | None:
    """The next occurrence strictly later than `after`; None when the series has no more."""
    found = expand(schedule, after, 1)
    return found[0] if found else None


def between(schedule: Schedule, after: datetime, until: datetime, limit: int = 10_000) -> list[Occurrence]:
    """Occurrences with after < instant ≤ until, at most `limit`: what an outage or a calendar view covers."""
    found: list[Occurrence] = []
    while len(found) < limit:
        page = expand(schedule, after, min(100, limit - len(found)))
        found += [occurrence for occurrence in page if occurrence.instant <= until]
        if not page or page[-1].instant > until or isinstance(schedule, Once | AfterCompletion):
            break
        after = page[-1].instant
    return found


def first_due(schedule: Schedule) -> Occurrence | None:
    """The very first occurrence, past or not. None for a rule without any nominal."""
    match schedule:
        case Once():
            return _occurrence(schedule, schedule.start, key=_nominal_key(schedule, schedule.start))
        case AfterCompletion():
            return _occurrence(schedule, schedule.start, key="c:1")
        case Elapsed():
            return next_after(schedule, schedule.start_at - timedelta(microseconds=1))
        case Fixed():
            nominal = next(_nominals(schedule, 0), None)
            return (
                None
                if nominal is None
                else _expand_fixed(schedule, resolve(nominal, schedule.tzid) - _LARGEST_SHIFT, 1)[0]
            )


def next_after_completion(schedule: AfterCompletion, completed_at: datetime, seq: int) -> Occurrence | None:
    """What follows the occurrence number `seq` once it was done at `completed_at` (aware): local date of the completion
    in the reminder's zone + `every`. May lie in the past: then it is overdue at once. None when the series ends."""
    done_on = completed_at.astimezone(zoneinfo.ZoneInfo(schedule.tzid)).date()
    return _following(schedule, _add(done_on, schedule.every, 1), seq + 1)


def next_after_skip(schedule: AfterCompletion, nominal: str, seq: int, now: datetime) -> Occurrence | None:
    """What follows a skipped occurrence: its due date + k·`every` (not chained), the first in the future."""
    due = datetime.fromisoformat(nominal).date()
    for k in counter(1):
        found = _following(schedule, _add(due, schedule.every, k), seq + 1)
        if found is None or found.instant > now:
            return found
    raise AssertionError("unreachable: _add ends at LAST_DATE")


def instant_of(schedule: Schedule, nominal: str) -> datetime:
    """The instant of a stored nominal under the schedule's present zone and zone data (travel, roll-over)."""
    at = datetime.fromisoformat(nominal)
    if isinstance(schedule, Elapsed):
        return at.astimezone(UTC)
    return resolve(_moment(schedule, at), schedule.tzid)


def with_zone(schedule: Schedule, tzid: str) -> Schedule:
    """The same series on another clock. Its version stays: travel is not an edit."""
    return schedule if isinstance(schedule, Elapsed) else replace(schedule, tzid=tzid)


def with_version(schedule: Schedule, version: int) -> Schedule:
    """The schedule as the given version, which is part of every key."""
    return replace(schedule, version=version)


def snooze_until(until_local: datetime, tzid: str) -> datetime:
    """A wall time ("tomorrow 09:00") on the clock of the person who snoozes, as an instant."""
    return resolve(until_local, tzid)


def text_of(nominal: datetime, *, all_day: bool = False) -> str:
    """The canonical form of a nominal: `YYYY-MM-DDTHH:MM[:SS]`, or the date alone."""
    if all_day:
        return nominal.date().isoformat()
    return nominal.isoformat(timespec="seconds" if nominal.second else "minutes")


def _nominal_key(schedule: Fixed | Once, nominal: datetime) -> str:
    return f"f:{schedule.version}:{text_of(nominal, all_day=schedule.all_day)}"


def _moment(schedule: Fixed | Once | AfterCompletion, nominal: datetime) -> datetime:
    return datetime.combine(nominal.date(), ALL_DAY_AT) if schedule.all_day else nominal


def _occurrence(schedule: Fixed | Once | AfterCompletion, nominal: datetime, *, key: str) -> Occurrence:
    moment = _moment(schedule, nominal)
    return Occurrence(
        key=key,
        nominal=text_of(nominal, all_day=schedule.all_day),
        instant=resolve(moment, schedule.tzid),
        tzid=schedule.tzid,
        shift=(*_zone_shift(moment, schedule.tzid), *_clamp_shift(schedule, nominal)),
    )


def _zone_shift(moment: datetime, tzid: str) -> tuple[Shift, ...]:
    zone = zoneinfo.ZoneInfo(tzid)
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return ()
    # Different offsets for the two folds: a gap where the later fold is ahead, an overlap where it is behind (PEP 495).
    return ("gap",) if (second.utcoffset() or timedelta()) > (first.utcoffset() or timedelta()) else ("overlap_first",)


def _clamp_shift(schedule: Fixed | Once | AfterCompletion, nominal: datetime) -> tuple[Shift, ...]:
    if not isinstance(schedule, Fixed) or schedule.freq not in ("MONTHLY", "YEARLY") or schedule.nth is not None:
        return ()
    wanted = schedule.monthday or schedule.start.day
    return ("clamped",) if wanted > nominal.day else ()


def _following(schedule: AfterCompletion, day: date | None, seq: int) -> Occurrence | None:
    ended = schedule.count is not None and seq > schedule.count
    if day is None or ended or (schedule.until is not None and day > schedule.until):
        return None
    return _occurrence(schedule, datetime.combine(day, schedule.at), key=f"c:{seq}")


def _add(day: date, every: Every, k: int) -> date | None:
    """`day` + k·`every`, months and years clamped from `day`; None beyond LAST_DATE."""
    n = every.n * k
    if every.unit in ("day", "week"):
        days = n * (7 if every.unit == "week" else 1)
        return day + timedelta(days=days) if days <= (LAST_DATE - day).days else None
    months = day.year * 12 + day.month - 1 + n * (12 if every.unit == "year" else 1)
    return _clamped(months, day.day)


def _clamped(months: int, day: int) -> date | None:
    """The `day` of a month counted from year 0, or its last day where the month is shorter (`day` -1: always)."""
    year, month = divmod(months, 12)
    if year > LAST_DATE.year:
        return None
    length = monthrange(year, month + 1)[1]
    return date(year, month + 1, length if day == -1 else min(day, length))


def _expand_elapsed(schedule: Elapsed, after: datetime, n: int) -> list[Occurrence]:
    step = schedule.every.delta
    k = max(0, (after - schedule.start_at) // step + 1)
    found = []
    for i in range(k, k + n):
        instant = schedule.start_at + i * step
        if instant.date() > LAST_DATE:
            break
        text = instant.isoformat(timespec="seconds").replace("+00:00", "Z")
        found.append(Occurrence(key=f"f:{schedule.version}:{text}", nominal=text, instant=instant, tzid=None))
    return found


def _expand_fixed(schedule: Fixed, after: datetime, n: int) -> list[Occurrence]:
    """Resolve, group by instant, sort by instant, cut (recurrence.md §4.3).

    On a gap day a later nominal may come first, so generation goes on until no nominal can move before the n-th.
    """
    groups: dict[datetime, list[datetime]] = {}
    enough: datetime | None = None
    for nominal in _nominals(schedule, _first_period(schedule, after)):
        instant = resolve(_moment(schedule, nominal), schedule.tzid)
        if enough is not None and instant > enough:
            break
        if instant > after:
            groups.setdefault(instant, []).append(nominal)
            if enough is None and len(groups) == n:
                enough = max(groups) + _LARGEST_SHIFT
    return [_fire(schedule, sorted(groups[instant])) for instant in sorted(groups)[:n]]


def _fire(schedule: Fixed, nominals: list[datetime]) -> Occurrence:
    """The latest nominal of one instant fires; the earlier ones are coalesced into it."""
    latest = nominals[-1]
    fired = _occurrence(schedule, latest, key=_nominal_key(schedule, latest))
    return replace(fired, coalesced=tuple(text_of(nominal) for nominal in nominals[:-1]))


def _first_period(schedule: Fixed, after: datetime) -> int:
    """The number of the first period that may hold a nominal later than `after`: skips 20 years in one step."""
    zone_date = after.astimezone(UTC).date() if after.year < LAST_DATE.year else LAST_DATE
    day = max(schedule.start.date(), zone_date - timedelta(days=3)) if zone_date.year > 1969 else schedule.start.date()
    match schedule.freq:
        case "DAILY":
            periods = (day - schedule.start.date()).days
        case "WEEKLY":
            periods = (day - schedule.start.date()).days // 7
        case "MONTHLY":
            periods = (day.year - schedule.start.year) * 12 + day.month - schedule.start.month
        case "YEARLY":
            periods = day.year - schedule.start.year
    return max(0, periods // schedule.interval - 1)


def _nominals(schedule: Fixed, first_period: int) -> Iterator[datetime]:
    """Nominals in order from the period on. `count` is counted from the anchor: every period holds equally many, less
    what the first one lost before the anchor."""
    times = (time(0),) if schedule.all_day else schedule.times
    anchor = datetime.combine(schedule.start.date(), time(0)) if schedule.all_day else schedule.start
    per_period = len(times) * (len(schedule.byday) or 1)
    lost = sum(datetime.combine(day, at) < anchor for day in _dates(schedule, 0) for at in times)
    number = first_period * per_period - lost if first_period else 0
    for period in counter(first_period):
        dates = _dates(schedule, period)
        if not dates:
            return
        for day in dates:
            for at in times:
                nominal = datetime.combine(day, at)
                if nominal < anchor:
                    continue
                number += 1
                if _is_over(schedule, day, number):
                    return
                yield nominal


def _is_over(schedule: Fixed, day: date, number: int) -> bool:
    exhausted = schedule.count is not None and number > schedule.count
    return exhausted or day > LAST_DATE or (schedule.until is not None and day > schedule.until)


def _dates(schedule: Fixed, period: int) -> list[date]:
    """The dates of one period, in order; empty beyond LAST_DATE."""
    start, k = schedule.start.date(), period * schedule.interval
    match schedule.freq:
        case "DAILY":
            return [start + timedelta(days=k)] if k <= (LAST_DATE - start).days else []
        case "WEEKLY":
            if k * 7 > (LAST_DATE - start).days + 7:
                return []
            week = start - timedelta(days=(start.weekday() - schedule.wkst) % 7) + timedelta(weeks=k)
            offsets = sorted((day - schedule.wkst) % 7 for day in schedule.byday or (start.weekday(),))
            return [week + timedelta(days=offset) for offset in offsets]
        case "MONTHLY":
            months = start.year * 12 + start.month - 1 + k
            day = _nth_weekday(months, schedule) if schedule.nth else _clamped(months, schedule.monthday or start.day)
        case "YEARLY":
            day = _clamped((start.year + k) * 12 + start.month - 1, start.day)
    return [] if day is None else [day]


def _nth_weekday(months: int, schedule: Fixed) -> date | None:
    year, month = divmod(months, 12)
    if year > LAST_DATE.year or schedule.nth is None:
        return None
    weekday = schedule.byday[0]
    first = date(year, month + 1, 1)
    if schedule.nth > 0:
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (schedule.nth - 1))
    last = date(year, month + 1, monthrange(year, month + 1)[1])
    return last - timedelta(days=(last.weekday() - weekday) % 7)
