"""Appointments: Petfolio's own events, as `domain.calendar.Event`; what they may hold and when they take place.

A series is one event with its exceptions: occurrences that were left out (`exdates`) or are otherwise (`overrides`),
each named by the wall time where the rule puts it. Whole days have dates, the end exclusive, and begin where the reader
is. The length of an event is what its clock shows: a stay from 20:00 to 08:00 ends at 08:00 also in the night in which
the clocks change, where RFC 5545 would have it take as long as the others.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from core.errors import FieldProblem, Invalid
from domain.appointment_rrule import format_rrule, parse
from domain.appointment_rule import END, LARGEST_SHIFT
from domain.calendar import Event, Override, Point, Status, When
from domain.recurrence import ZONES, resolve, text_of

YEARS: Final = range(1900, 2200)
LONGEST: Final = timedelta(days=366)
MOST_ALARMS: Final = 20
EARLIEST_ALARM: Final = 40_320
"""Four weeks, in minutes: what calendars take."""
MOST_EXDATES: Final = 1_000
MOST_OVERRIDES: Final = 200
_FIRST, _LAST = timedelta(hours=-14), timedelta(hours=12)
"""From midnight in UTC to where on Earth the same date begins first, and last."""
_CENTURY: Final = timedelta(days=36_525)
_MOMENT: Final = timedelta(microseconds=1)


class State(StrEnum):
    """What became of it. Calendars know whether it takes place; that it is over and was kept is ours."""

    PLANNED = "planned"
    DONE = "done"
    CANCELLED = "cancelled"

    @property
    def status(self) -> Status:
        """What a calendar says."""
        return Status.CANCELLED if self is State.CANCELLED else Status.CONFIRMED

    def after(self, status: Status) -> "State":
        """The state once a calendar says this: what is done stays done unless it is called off."""
        if status is Status.CANCELLED:
            return State.CANCELLED
        return State.PLANNED if self is State.CANCELLED else self


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time an event takes place. `starts` and `ends` are instants in UTC; `start` and `end` what its clock shows,
    or dates. `original` is its name within the series."""

    original: Point
    start: Point
    end: Point
    starts: datetime
    ends: datetime
    title: str
    notes: str
    location: str


def check(event: Event) -> Event:
    """The event with its rule in the one form. Raises `Invalid` with what is wrong, first with its times."""
    when, problems = check_when(event.when), []
    if len(event.alarms) > MOST_ALARMS or not all(0 <= minutes <= EARLIEST_ALARM for minutes in event.alarms):
        detail = f"at most {MOST_ALARMS}, each 0 to {EARLIEST_ALARM} minutes before the start"
        problems.append(FieldProblem("/alarms", "alarms_invalid", detail))
    if len(event.exdates) > MOST_EXDATES or len(event.overrides) > MOST_OVERRIDES:
        detail = f"at most {MOST_EXDATES} occurrences left out and {MOST_OVERRIDES} that differ"
        problems.append(FieldProblem("/rrule", "too_many_exceptions", detail))
    if not all(_fits(replace(when, start=each.start, end=each.end), when.all_day) for each in event.overrides):
        detail = "each ends after it begins, and has times where the series has times"
        problems.append(FieldProblem("/overrides", "span_invalid", detail))
    if problems:
        raise Invalid("The appointment cannot be used as it is.", errors=tuple(problems))
    return replace(event, when=when)


def check_when(when: When) -> When:
    """The schedule with its rule in the one form. Raises `Invalid`; what is wrong with the rule comes alone."""
    problems = []
    if (when.tzid is None) != when.all_day or (when.tzid is not None and when.tzid not in ZONES):
        problems.append(FieldProblem("/tzid", "unknown_zone", "times have an IANA zone of this release, days none"))
    if not _fits(when, when.all_day):
        detail = f"it ends after it begins, within {LONGEST.days} days, in {YEARS.start} to {YEARS.stop - 1}"
        problems.append(FieldProblem("/ends_at", "span_invalid", detail))
    if problems:
        raise Invalid("The appointment cannot be used as it is.", errors=tuple(problems))
    return when if when.rrule is None else replace(when, rrule=format_rrule(parse(when.rrule, when.tzid)))


def occurrences(event: Event, after: datetime, before: datetime, zone: str) -> Iterator[Occurrence]:
    """Those that take place, if only partly, between two instants (`before` exclusive), in order, found as they are
    asked for. Whole days are days on the clock of `zone`.

    In a gap of the clock the order is that of the wall times.
    """
    when = event.when
    clock = ZoneInfo(when.tzid or zone)
    margin = LARGEST_SHIFT + as_time(when.end) - as_time(when.start)
    first, last = (_on(clock, instant) for instant in (after, before))
    hidden = {each.original for each in event.overrides}.union(event.exdates)
    regular = (
        _occurrence(event, Override(each, each, ends(when, each), event.title, event.notes, event.location), zone)
        for each in _originals(when, first - margin, last + LARGEST_SHIFT)
        if each not in hidden
    )
    moved = sorted((_occurrence(event, each, zone) for each in event.overrides), key=_order)
    return (each for each in heapq.merge(moved, regular, key=_order) if _overlaps(each, after, before))


def reach(event: Event) -> tuple[datetime, datetime | None]:
    """Two instants: no part of the event is earlier than the first, none later than the second (None: it may go on for
    ever), wherever whole days are read."""
    when = event.when
    length = as_time(when.end) - as_time(when.start)
    moved = [(as_time(each.start), as_time(each.end)) for each in event.overrides]
    first = _instant(min([as_time(when.start), *(start for start, _ in moved)]), when, _FIRST)
    last = _last(when)
    if last is None:
        return first, None
    return first, max(first, _instant(max([last + length, *(end for _, end in moved)]), when, _LAST))


def named(when: When, points: frozenset[Point]) -> frozenset[Point]:
    """Those of the points that are starts of the series."""
    alike = frozenset(each for each in points if isinstance(each, datetime) != when.all_day)
    if alike and when.rrule is not None and parse(when.rrule, when.tzid).count is not None:
        # It is counted from its beginning, once for all of them.
        return alike & frozenset(_originals(when, *_ends_of(alike)))
    return frozenset(each for each in alike if each in _originals(when, as_time(each), as_time(each)))


def ends(when: When, original: Point) -> Point:
    """When the occurrence with this start ends."""
    return _point(as_time(original) + (as_time(when.end) - as_time(when.start)), when)


def as_time(point: Point) -> datetime:
    """A date as its midnight."""
    return point if isinstance(point, datetime) else datetime.combine(point, time())


def point_text(point: Point) -> str:
    """`YYYY-MM-DDTHH:MM[:SS]` or `YYYY-MM-DD`."""
    return text_of(as_time(point), all_day=not isinstance(point, datetime))


def point_of(text: str) -> Point:
    """The inverse of `point_text`. Raises ValueError."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _fits(when: When, all_day: bool) -> bool:
    if {isinstance(point, datetime) for point in (when.start, when.end)} != {not all_day}:
        return False
    shortest = timedelta(days=1) if all_day else timedelta()
    return when.start.year in YEARS and shortest <= as_time(when.end) - as_time(when.start) <= LONGEST


def _ends_of(points: frozenset[Point]) -> tuple[datetime, datetime]:
    times = sorted(map(as_time, points))
    return times[0], times[-1]


def _last(when: When) -> datetime | None:
    """A wall time after which no occurrence starts; None for a series that is endless, or not known to end within a
    century."""
    start = as_time(when.start)
    if when.rrule is None:
        return start
    rule = parse(when.rrule, when.tzid)
    if rule.until is not None:
        return max(start, _on(ZoneInfo(when.tzid), rule.until) if when.tzid else rule.until)
    if rule.count is None:
        return None
    found = list(rule.between(start, start, min(END, start + _CENTURY)))
    return found[-1] if len(found) == rule.count else None


def _originals(when: When, after: datetime, before: datetime) -> Iterator[Point]:
    """Starts of the series from one wall time to another."""
    start = as_time(when.start)
    if when.rrule is None:
        return iter((when.start,) if after <= start <= before else ())
    return (_point(each, when) for each in parse(when.rrule, when.tzid).between(start, after, before))


def _occurrence(event: Event, one: Override, zone: str) -> Occurrence:
    tzid = event.when.tzid or zone
    starts = resolve(as_time(one.start), tzid)
    return Occurrence(
        original=one.original,
        start=one.start,
        end=one.end,
        starts=starts,
        ends=max(starts, resolve(as_time(one.end), tzid)),
        title=one.title,
        notes=one.notes,
        location=one.location,
    )


def _order(one: Occurrence) -> tuple[datetime, datetime]:
    return one.starts, as_time(one.original)


def _overlaps(one: Occurrence, after: datetime, before: datetime) -> bool:
    """What takes no time is there at its moment."""
    return one.starts < before and max(one.ends, one.starts + _MOMENT) > after


def _on(clock: ZoneInfo, instant: datetime) -> datetime:
    return instant.astimezone(clock).replace(tzinfo=None)


def _point(at: datetime, when: When) -> Point:
    return at.date() if when.all_day else at


def _instant(at: datetime, when: When, edge: timedelta) -> datetime:
    return resolve(at, when.tzid) if when.tzid else at.replace(tzinfo=UTC) + edge
