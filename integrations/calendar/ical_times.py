"""Times of iCalendar and the clocks they are on (RFC 5545 §3.3.4, §3.3.5, §3.2.19).

A TZID is any name that a program chose. The ones in use are IANA names, IANA names behind a prefix, names of Windows,
and names of their own beside a VTIMEZONE; the last are understood where they never change their offset.
"""

import re
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from icalendar import Timezone, vDuration
from icalendar.error import InvalidCalendar
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from domain.calendar import Point
from domain.calendar_form import zone_name
from domain.recurrence import ZONES
from integrations.calendar.ical_lines import Component, Line, Unreadable, parse

_TIME: Final = re.compile(r"(\d{8})(?:T(\d{4})(\d{2})(Z?))?", re.ASCII)
_OFFSET: Final = re.compile(r"([+-])(\d{2})(\d{2})(?:\d{2})?", re.ASCII)
_LAST_CHANGE: Final = 2038  # programs that count seconds in 32 bits end there
_MOST_TIMES: Final = 5_000
_FURTHEST: Final = 14


@dataclass(frozen=True, slots=True)
class Clock:
    """What a time is written on: `zone` is the IANA name (None: dates), `tzid` the name used in the stream. Without one
    it is UTC, or `floating`: whatever clock the reader has."""

    zone: str | None
    tzid: str = ""
    floating: bool = False

    def write(self, name: str, *points: Point) -> Line:
        """A property that holds these."""
        if self.zone is None:
            return Line(f"{name};VALUE=DATE:{','.join(f'{each:%Y%m%d}' for each in points)}")
        written = ",".join(f"{each:%Y%m%dT%H%M%S}{'' if self.tzid or self.floating else 'Z'}" for each in points)
        return Line(f"{name};TZID={_quoted(self.tzid)}:{written}" if self.tzid else f"{name}:{written}")


def clock_of(tzid: str | None) -> Clock:
    """The clock that we write a zone with; None for dates."""
    return Clock(tzid, "" if tzid in (None, "UTC") else str(tzid))


class Zones:
    """The zones of one stream. `floating`: whose clock times without a zone are on."""

    def __init__(self, calendar: Component, floating: str) -> None:
        self._calendar, self._floating = calendar, floating

    def read(self, line: Line) -> tuple[list[Point], Clock]:
        """The values of a property and the clock they are on. Raises `Unreadable`."""
        if line.value.count(",") >= _MOST_TIMES:
            raise Unreadable("more times than anybody has")
        found = [_TIME.fullmatch(each.strip()) for each in line.value.split(",")]
        if not all(found):
            raise Unreadable("a time of no known form")
        matches = [each for each in found if each]
        if all(each[2] is None for each in matches):
            return [_date(each[1]) for each in matches], Clock(None)
        points: list[Point] = [_wall(each) for each in matches]
        if matches[0][4]:
            return points, Clock("UTC")
        tzid = line.parameter("TZID")
        return points, Clock(self.name(tzid), tzid) if tzid else Clock(self._floating, floating=True)

    def on(self, clock: Clock, line: Line, at: time) -> list[Point]:
        """The values of a property as that clock shows them. A date among times is meant at `at`."""
        points, theirs = self.read(line)
        return [_on(clock, theirs, point, at) for point in points]

    def name(self, tzid: str) -> str:
        """The IANA name of a TZID. Raises `Unreadable`."""
        for name in _guesses(tzid):
            if name in ZONES:
                return zone_name(name)
        if definition := next((z for z in self._calendar.parts("VTIMEZONE") if _names(z, tzid)), None):
            located = definition.first("X-LIC-LOCATION")
            if located and located.value in ZONES:
                return zone_name(located.value)
            return _fixed(definition)
        raise Unreadable("a zone that nobody knows")


def end_of(start: Point, zone: str | None, duration: str) -> Point:
    """When what lasts so long ends. Days are those of the calendar, hours those of a stopwatch."""
    try:
        lasts: timedelta = vDuration.from_ical(duration)
    except InvalidCalendar:
        raise Unreadable("a duration of no known form") from None
    if lasts < timedelta():
        raise Unreadable("a duration that is less than nothing")
    if not isinstance(start, datetime) or zone is None:
        return start + timedelta(days=max(lasts.days, 1))
    day = (start + timedelta(days=lasts.days)).replace(tzinfo=ZoneInfo(zone))
    over = day.astimezone(UTC) + timedelta(seconds=lasts.seconds)
    return over.astimezone(day.tzinfo).replace(tzinfo=None, fold=0)


@lru_cache(maxsize=512)
def definition(tzid: str, year: int) -> Component:
    """The VTIMEZONE of an IANA zone for what begins in this year, with every change of its clocks for at least ten
    years and until 2038. Not to be changed: it is shared."""
    first, last = date(max(year - 1, MINYEAR), 1, 1), date(min(max(year + 10, _LAST_CHANGE), MAXYEAR), 1, 1)
    return parse(Timezone.from_tzid(tzid, first_date=first, last_date=last).to_ical().decode())


def _on(clock: Clock, theirs: Clock, point: Point, at: time) -> Point:
    if clock.zone is None:
        return point.date() if isinstance(point, datetime) else point
    if not isinstance(point, datetime):
        return datetime.combine(point, at)
    if theirs.zone == clock.zone:
        return point
    instant = point.replace(tzinfo=ZoneInfo(theirs.zone or clock.zone))
    return instant.astimezone(ZoneInfo(clock.zone)).replace(tzinfo=None, fold=0)


def _date(digits: str) -> date:
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise Unreadable("a day that no calendar has") from None


def _wall(found: re.Match[str]) -> datetime:
    day = _date(found[1])
    if found[2] is None:
        return datetime.combine(day, time())
    try:
        return datetime.combine(day, time(int(found[2][:2]), int(found[2][2:]), min(int(found[3]), 59)))
    except ValueError:
        raise Unreadable("a time that no clock shows") from None


def _guesses(tzid: str) -> list[str]:
    """Names that it may mean: itself, Windows' name for it, what follows a prefix."""
    parts = tzid.strip().split("/")
    behind = ["/".join(parts[-count:]) for count in (3, 2, 1)]
    return [tzid, WINDOWS_TO_OLSON.get(tzid, ""), *(behind if len(parts) > 1 else ())]


def _names(definition: Component, tzid: str) -> bool:
    line = definition.first("TZID")
    return line is not None and line.value == tzid


def _fixed(definition: Component) -> str:
    """The zone of a VTIMEZONE that has one offset, of whole hours."""
    rules = [*definition.parts("STANDARD"), *definition.parts("DAYLIGHT")]
    offsets = {line.value for rule in rules for line in rule.lines("TZOFFSETTO")}
    found = _OFFSET.fullmatch(offsets.pop()) if len(offsets) == 1 else None
    if found is None or found[3] != "00" or int(found[2]) > _FURTHEST:
        raise Unreadable("a zone that nobody knows")
    hours = int(found[2])
    # The sign is the other way round in these names (POSIX).
    return zone_name(f"Etc/GMT{'-' if found[1] == '+' else '+'}{hours}") if hours else "UTC"


def _quoted(tzid: str) -> str:
    return f'"{tzid}"' if re.search(r"[:;,]", tzid) else tzid
