"""Time zones of providers: names of Windows, and wall times.

Windows has about 140 zones, and one of its names stands for many of IANA's. Which of them is meant Unicode says
(CLDR's windowsZones, of which icalendar ships the choice for the whole world).
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from domain.recurrence import ZONES

_UTC: Final = frozenset({"UTC", "tzone://Microsoft/Utc"})
_LOOKED_AT: Final = 10
"""Years over which two zones are compared. Rules that differ later are not known yet."""


def iana(name: str | None) -> str | None:
    """The IANA name; None for what is none and has none (`tzone://Microsoft/Custom`)."""
    if name is None or name in _UTC:
        return "UTC" if name else None
    if name in WINDOWS_TO_OLSON:
        return WINDOWS_TO_OLSON[name]
    return name if name in ZONES else None


def wall(instant: datetime, tzid: str) -> datetime:
    """What the clock of a zone shows, without the zone."""
    return instant.astimezone(ZoneInfo(tzid)).replace(tzinfo=None, fold=0)


@cache
def same_clock(one: str, other: str, year: int) -> bool:
    """Whether the clocks of both show the same from this year on, as far as anybody knows."""
    first, second = ZoneInfo(one), ZoneInfo(other)
    days = (datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(366 * _LOOKED_AT))
    return all(day.astimezone(first).utcoffset() == day.astimezone(second).utcoffset() for day in days)
