"""When a reminder is due: schedules, nominals, instants (recurrence.md; public deviation from RFC 5545 in docs/).

Words. *Nominal*: the wall-clock date and time a rule names, without zone. *Instant*: the UTC moment it happens.
*Anchor*: `start`, the phase and lower bound of a series. One nominal fires at most once, and none is lost because the
clock skipped it.

Pure: no clock (`after` and `now` are arguments), no I/O but the pinned zone data. Never called from workflow code: a
release with other zone data would no longer replay its histories.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from itertools import count as counter
from typing import Final, Literal
from zoneinfo import ZoneInfo

import tzdata

from domain.rule import LAST_DATE, WEEKDAYS, Every, Freq, Rule, Unit

TzMode = Literal["pet_home", "follow_user", "fixed"]
Shift = Literal["gap", "overlap_first", "clamped"]

ZONES: Final = frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())
"""The zones of the pinned package, whatever the system has and whenever this is imported. Membership is the only check:
`ZoneInfo` itself raises three kinds of errors and opens paths."""
TZDATA_VERSION: Final[str] = tzdata.IANA_VERSION
ALL_DAY_AT: Final = time(8)
"""When an all-day nominal is announced, on the clock of its schedule."""
_LARGEST_SHIFT: Final = timedelta(hours=25)  # Samoa skipped a whole date in 2011; an hour of margin on top
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(LAST_DATE.year + 1, 1, 3, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wall:
    """What the modes that live on a wall clock share. `start` is naive; at midnight when `all_day`."""

    start: datetime
    all_day: bool = False
    tzid: str
    tz_mode: TzMode = "pet_home"
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(_Wall):
    """A rule on the calendar, at each of the sorted `times` (midnight alone when `all_day`)."""

    rule: Rule
    times: tuple[time, ...]
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
        return self.instant.astimezone(ZoneInfo(self.tzid)) if self.tzid else self.instant


def resolve(nominal: datetime, tzid: str) -> datetime:
    """The instant of a naive nominal, in UTC.

    `fold=0` is both rules (PEP 495): inside a gap the offset before it, so the nominal moves forward by the gap;
    inside an overlap the first pass.
    """
    return nominal.replace(tzinfo=ZoneInfo(tzid), fold=0).astimezone(UTC)


def expand(schedule: Schedule, after: datetime, n: int) -> list[Occurrence]:
    """The first `n` occurrences strictly later than `after` (aware, any year), ordered by instant.

    Fewer when the series ends before. `after_completion` knows only its first due: what follows depends on people.
    """
    if n <= 0:
        return []
    after = _utc(after)
    match schedule:
        case Fixed():
            return _expand_fixed(schedule, after, n)
        case Elapsed():
            return _expand_elapsed(schedule, after, n)
        case Once() | AfterCompletion():
            key = "c:1" if isinstance(schedule, AfterCompletion) else _nominal_key(schedule, schedule.start)
            only = _occurrence(schedule, schedule.start, key)
            return [only] if only.instant > after else []


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
    return next_after(schedule, _EARLIEST)


def next_after_completion(schedule: AfterCompletion, completed_at: datetime, seq: int) -> Occurrence | None:
    """What follows the occurrence number `seq` once it was done at `completed_at` (aware): local date of the completion
    in the reminder's zone + `every`. May lie in the past: then it is overdue at once. None when the series ends."""
    done_on = _utc(completed_at).astimezone(ZoneInfo(schedule.tzid)).date()
    return _following(schedule, done_on, 1, seq + 1)


def next_after_skip(schedule: AfterCompletion, nominal: str, seq: int, now: datetime) -> Occurrence | None:
    """What follows a skipped occurrence: its due date + k·`every` (not chained), the first later than `now`."""
    due = datetime.fromisoformat(nominal).date()
    passed = (_utc(now).date() - due).days - 3  # zones and gaps move an instant by less than three days
    for k in counter(max(1, schedule.every.fits(passed))):
        found = _following(schedule, due, k, seq + 1)
        if found is None or found.instant > now:
            return found
    raise AssertionError("unreachable: every series ends at LAST_DATE")


def instant_of(schedule: Schedule, nominal: str) -> datetime:
    """The instant of a stored nominal under the schedule's present zone and zone data (travel, a new release)."""
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


def instant_text(instant: datetime) -> str:
    """The canonical form of an instant: RFC 3339 in UTC."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _utc(at: datetime) -> datetime:
    """`at` in UTC, within the years that occurrences lie in: no instant that a client sends can overflow."""
    return min(max(at, _EARLIEST), _LATEST).astimezone(UTC)


def _nominal_key(schedule: Fixed | Once, nominal: datetime) -> str:
    return f"f:{schedule.version}:{text_of(nominal, all_day=schedule.all_day)}"


def _moment(schedule: Fixed | Once | AfterCompletion, nominal: datetime) -> datetime:
    return datetime.combine(nominal.date(), ALL_DAY_AT) if schedule.all_day else nominal


def _occurrence(
    schedule: Fixed | Once | AfterCompletion, nominal: datetime, key: str, *, clamped: bool = False
) -> Occurrence:
    moment = _moment(schedule, nominal)
    return Occurrence(
        key=key,
        nominal=text_of(nominal, all_day=schedule.all_day),
        instant=resolve(moment, schedule.tzid),
        tzid=schedule.tzid,
        shift=(*zone_shift(moment, schedule.tzid), *(("clamped",) if clamped else ())),
    )


def zone_shift(moment: datetime, tzid: str) -> tuple[Shift, ...]:
    """What a change of the clocks does to this naive time in this zone: `gap`, `overlap_first` or nothing."""
    zone = ZoneInfo(tzid)
    first, second = (moment.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    if first == second:
        return ()
    # The two folds differ: a gap where the later offset is ahead, an overlap where it is behind (PEP 495).
    return ("gap",) if second > first else ("overlap_first",)


def _following(schedule: AfterCompletion, origin: date, k: int, seq: int) -> Occurrence | None:
    """The occurrence number `seq`, k times `every` after `origin`."""
    day = schedule.every.after(origin, k)
    ended = schedule.count is not None and seq > schedule.count
    if day is None or ended or (schedule.until is not None and day > schedule.until):
        return None
    clamped = schedule.every.unit in ("month", "year") and day.day < origin.day
    return _occurrence(schedule, datetime.combine(day, schedule.at), f"c:{seq}", clamped=clamped)


def _expand_elapsed(schedule: Elapsed, after: datetime, n: int) -> list[Occurrence]:
    step = schedule.every.delta
    first = max(0, (after - schedule.start_at) // step + 1)
    found = []
    for k in range(first, first + n):
        instant = schedule.start_at + k * step
        if instant.date() > LAST_DATE:
            break
        text = instant_text(instant)
        found.append(Occurrence(key=f"f:{schedule.version}:{text}", nominal=text, instant=instant, tzid=None))
    return found


def _expand_fixed(schedule: Fixed, after: datetime, n: int) -> list[Occurrence]:
    """Resolve, group by instant, sort by instant, cut (recurrence.md §4.3).

    On a gap day a later nominal may come first, so generation goes on until no nominal can move before the n-th.
    """
    groups: dict[datetime, list[datetime]] = {}
    enough: datetime | None = None
    # Three days: what a zone and a gap together can be apart from UTC.
    for nominal in schedule.rule.nominals(schedule.start, schedule.times, after.date() - timedelta(days=3)):
        instant = resolve(_moment(schedule, nominal), schedule.tzid)
        if enough is not None and instant > enough:
            break
        if instant > after:
            groups.setdefault(instant, []).append(nominal)
            if enough is None and len(groups) == n:
                enough = max(groups) + _LARGEST_SHIFT
    return [_fire(schedule, groups[instant]) for instant in sorted(groups)[:n]]


def _fire(schedule: Fixed, nominals: list[datetime]) -> Occurrence:
    """The latest nominal of one instant fires; the earlier ones are coalesced into it."""
    *earlier, latest = nominals
    clamped = schedule.rule.clamps(schedule.start, latest)
    fired = _occurrence(schedule, latest, _nominal_key(schedule, latest), clamped=clamped)
    coalesced = tuple(text_of(nominal, all_day=schedule.all_day) for nominal in earlier)
    return replace(fired, coalesced=coalesced) if coalesced else fired


__all__ = [
    "ALL_DAY_AT",
    "LAST_DATE",
    "TZDATA_VERSION",
    "WEEKDAYS",
    "ZONES",
    "AfterCompletion",
    "Elapsed",
    "Every",
    "Fixed",
    "Freq",
    "Occurrence",
    "Once",
    "Rule",
    "Schedule",
    "Shift",
    "TzMode",
    "Unit",
    "between",
    "expand",
    "first_due",
    "instant_of",
    "instant_text",
    "next_after",
    "next_after_completion",
    "next_after_skip",
    "resolve",
    "snooze_until",
    "text_of",
    "with_version",
    "with_zone",
]
