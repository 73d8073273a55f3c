"""A second opinion on recurrence, reached in another way, and generators that look for trouble.

`oracle` finds instants by trying every offset seen nearby; `named_dates` walks the calendar day by day and asks of each
date whether the rule names it. Neither shares a line with `domain`.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from domain.recurrence import WEEKDAYS, ZONES, Fixed, Schedule
from domain.schedule_json import Zones, parse_schedule

SERVER = Zones(home="Asia/Kolkata", user="America/St_Johns")
TROUBLED = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "Africa/Cairo",  # at midnight
    "Africa/Casablanca",  # back and forth around Ramadan
    "America/Vancouver",  # stays on summer time from 2026
    "Pacific/Apia",  # skipped 30 December 2011
    "Pacific/Chatham",
    "Antarctica/Troll",  # two hours
    "America/Nuuk",
    "Pacific/Kiritimati",
    "Asia/Tokyo",
    "UTC",
)
FEW_YEARS = (datetime(2005, 1, 1), datetime(2030, 12, 31))


def offset(at: datetime, zone: ZoneInfo) -> timedelta:
    """What clocks of the zone show at the instant, less UTC."""
    return at.astimezone(zone).replace(tzinfo=None) - at.replace(tzinfo=None)


def jumps(zone: ZoneInfo, start: datetime, end: datetime, step: timedelta) -> Iterator[tuple[datetime, timedelta]]:
    """Instants (to the second) at which clocks jump, and by how much. Two within one step cancel out."""
    at = start
    while at < end:
        low, high = at, at + step
        size = offset(high, zone) - offset(low, zone)
        if size:
            before = offset(low, zone)
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if offset(middle, zone) == before else (low, middle)
            yield high.replace(microsecond=0), size
        at += step


@cache
def oracle(nominal: datetime, tzid: str) -> datetime:
    """The instant of a nominal: the first moment at which clocks show it; in a gap, that of the nominal after it."""
    zone = ZoneInfo(tzid)
    around = [nominal.replace(tzinfo=UTC) + timedelta(hours=hours) for hours in range(-30, 31)]
    candidates = {nominal - offset(at, zone) for at in around}
    fitting = [u for u in candidates if u.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) == nominal]
    if fitting:
        return min(fitting).replace(tzinfo=UTC)
    for at, size in jumps(zone, around[0], around[-1], timedelta(minutes=15)):
        shown = at.astimezone(zone).replace(tzinfo=None)
        if shown - size <= nominal < shown:
            return oracle(nominal + size, tzid)
    raise AssertionError(f"{tzid} never shows {nominal}, and nothing jumps there")


@cache
def transitions(tzid: str) -> tuple[datetime, ...]:
    """Wall-clock times next to which clocks of the zone jump, 2005 to 2030."""
    zone = ZoneInfo(tzid)
    start, end = (bound.replace(tzinfo=UTC) for bound in FEW_YEARS)
    return tuple(at.astimezone(zone).replace(tzinfo=None) for at, _ in jumps(zone, start, end, timedelta(days=6)))


def named_dates(raw: dict[str, Any], anchor: date, last: date) -> Iterator[date]:
    """Every date from the anchor to `last` that the rule of this schedule object names."""
    day = anchor
    while day <= last:
        if _names(raw, anchor, day):
            yield day
        day += timedelta(days=1)


def _names(raw: dict[str, Any], anchor: date, day: date) -> bool:
    interval, byday, length = raw.get("interval", 1), raw.get("byday"), monthrange(day.year, day.month)[1]
    months = (day.year - anchor.year) * 12 + day.month - anchor.month
    match raw["freq"]:
        case "DAILY":
            return (day - anchor).days % interval == 0
        case "WEEKLY":
            first = WEEKDAYS.index(raw.get("wkst", "MO"))
            begin, week = (d - timedelta(days=(d.weekday() - first) % 7) for d in (anchor, day))
            weekdays = byday or [WEEKDAYS[anchor.weekday()]]
            return (week - begin).days // 7 % interval == 0 and WEEKDAYS[day.weekday()] in weekdays
        case "MONTHLY" if byday:
            n, weekday = int(byday[0][:-2]), byday[0][-2:]
            nth = (day.day - 1) // 7 + 1 if n > 0 else -((length - day.day) // 7 + 1)
            return months % interval == 0 and WEEKDAYS[day.weekday()] == weekday and nth == n
        case "MONTHLY":
            wanted = raw.get("bymonthday", anchor.day)
            return months % interval == 0 and day.day == (length if wanted == -1 else min(wanted, length))
        case _:
            same_month = day.month == anchor.month and (day.year - anchor.year) % interval == 0
            return same_month and day.day == min(anchor.day, length)


def named_nominals(raw: dict[str, Any], last: date) -> list[datetime]:
    """The nominals of a fixed schedule object up to `last`, in order."""
    anchor = datetime.fromisoformat(raw["dtstart_local"])
    times = sorted(map(time.fromisoformat, raw.get("times") or [anchor.time().isoformat()]))
    until = date.fromisoformat(raw["until"]) if raw.get("until") else last
    days = named_dates(raw, anchor.date(), min(last, until))
    found = [nominal for day in days for at in times if (nominal := datetime.combine(day, at)) >= anchor]
    return found[: raw.get("count")]


def schedule_of(raw: dict[str, Any]) -> Schedule:
    """The schedule of a schedule object."""
    return parse_schedule(raw, zones=SERVER)


def fixed_of(raw: dict[str, Any]) -> Fixed:
    """The schedule of a fixed one."""
    found = schedule_of(raw)
    assert isinstance(found, Fixed)
    return found


zones = st.one_of(st.sampled_from(TROUBLED), st.sampled_from(sorted(ZONES)))
minutes = st.datetimes(*FEW_YEARS).map(lambda at: at.replace(second=0, microsecond=0))


@st.composite
def anchors(draw: st.DrawFn, zone: str) -> datetime:
    """Wall-clock times: month ends, 29 February, and a few hours around the clock changes of the zone."""
    kind = draw(st.sampled_from(["any", "month end", "leap day", "near a jump"]))
    at = draw(minutes)
    if kind == "month end":
        return at.replace(day=min(draw(st.integers(28, 31)), monthrange(at.year, at.month)[1]))
    if kind == "leap day":
        return at.replace(year=draw(st.sampled_from([2008, 2012, 2024, 2028])), month=2, day=29)
    if kind == "near a jump" and transitions(zone):
        return draw(st.sampled_from(transitions(zone))) + timedelta(minutes=draw(st.integers(-2 * 1440, 2 * 1440)))
    return at


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """The members `freq … wkst` of a fixed schedule object."""
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    raw: dict[str, Any] = {"freq": freq, "interval": draw(st.integers(1, 4))}
    if freq == "WEEKLY":
        raw["wkst"] = draw(st.sampled_from(WEEKDAYS))
        raw["byday"] = draw(st.none() | st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=4, unique=True))
    if freq == "MONTHLY" and draw(st.booleans()):
        nth, weekday = draw(st.sampled_from([1, 2, 3, 4, -1])), draw(st.sampled_from(WEEKDAYS))
        raw |= draw(
            st.sampled_from([{"byday": [f"{nth}{weekday}"]}, {"bymonthday": -1}])
            | st.integers(1, 31).map(lambda day: {"bymonthday": day})
        )
    return {field: value for field, value in raw.items() if value is not None}


@st.composite
def fixed(draw: st.DrawFn, *, ends: bool = True) -> dict[str, Any]:
    """Fixed schedule objects that name something."""
    zone = draw(zones)
    anchor = draw(anchors(zone))
    raw = {"mode": "fixed", "dtstart_local": anchor.isoformat(), "tzid": zone, **draw(rules())}
    if draw(st.booleans()):
        # Close together and around the anchor, so that a gap moves one onto or past another.
        near = st.integers(-180, 180).map(lambda by: (anchor + timedelta(minutes=by)).time().isoformat())
        raw["times"] = draw(st.lists(near, min_size=1, max_size=4, unique=True))
    end = draw(st.sampled_from([None, None, "count", "until"])) if ends else None
    if end == "count":
        raw["count"] = draw(st.integers(1, 40))
    if end == "until":
        longest = {"DAILY": 5, "WEEKLY": 35, "MONTHLY": 160, "YEARLY": 1500}[raw["freq"]]
        raw["until"] = (anchor + timedelta(days=longest + draw(st.integers(0, 1000)))).date().isoformat()
    return raw


@st.composite
def afters(draw: st.DrawFn, raw: dict[str, Any]) -> datetime:
    """Instants from before the anchor to years behind it."""
    anchor = datetime.fromisoformat(raw["dtstart_local"]).replace(tzinfo=UTC)
    return anchor + timedelta(minutes=draw(st.integers(-3 * 1440, 6 * 1440) | st.integers(0, 3 * 366 * 1440)))
