"""The canonical form of an event: whatever a provider or a person wrote, two events that mean the same are equal.

Text is NFC with LF, without trailing blanks; times are whole seconds; zones have the name people know; rules have their
parts in one order, without those that only repeat the start, and an UNTIL at the end of its day. Never called from
workflow code: it reads zone data.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from domain.calendar import Event, Override, Point, When
from domain.recurrence import WEEKDAYS, ZONES

_UTC_NAMES: Final = frozenset(
    {"UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal", "Z"}
)
_PARTS: Final = (
    *("FREQ", "UNTIL", "COUNT", "INTERVAL", "BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY"),
    *("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST"),
)
_DAY: Final = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_TIMES: Final = frozenset({"BYSECOND", "BYMINUTE", "BYHOUR"})
_DAYS: Final = frozenset({"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS"})
_NUMBERS: Final = (_TIMES | _DAYS) - {"BYDAY"}
_REPEATED: Final = {
    "WEEKLY": (("BYDAY",),),
    "MONTHLY": (("BYMONTHDAY",),),
    "YEARLY": (("BYMONTH",), ("BYMONTH", "BYMONTHDAY")),
}
"""By frequency, the parts that only repeat the start where they are all that is said of days."""
_LAST_SECOND: Final = time(23, 59, 59)


class RuleUnreadable(ValueError):
    """Not the value of one RFC 5545 RRULE."""


def canonical(event: Event) -> Event:
    """The event in its canonical form. Raises `RuleUnreadable`."""
    when = canonical_when(event.when)
    exdates = tuple(sorted({_point(each) for each in event.exdates}, key=order))
    left_out = frozenset(exdates)
    overrides = {each.original: each for each in map(_override, event.overrides)}
    return replace(
        event,
        title=line(event.title),
        notes=text(event.notes),
        location=line(event.location),
        when=when,
        alarms=tuple(dict.fromkeys(event.alarms)),
        exdates=exdates if when.rrule else (),
        overrides=tuple(overrides[key] for key in sorted(overrides, key=order) if when.rrule and key not in left_out),
    )


def canonical_when(when: When) -> When:
    """As `canonical`, of the schedule alone."""
    start, end = _point(when.start), _point(when.end)
    tzid = zone_name(when.tzid) if when.tzid and isinstance(start, datetime) else None
    return When(start, end, tzid, canonical_rrule(when.rrule, start, tzid) if when.rrule else None)


def text(said: str) -> str:
    """Several lines: what servers do to them (CRLF, trailing blanks, other code points for the same letters) is no
    change."""
    lines = unicodedata.normalize("NFC", said).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(each.rstrip() for each in lines).strip("\n").rstrip()


def line(said: str) -> str:
    """One line."""
    return " ".join(unicodedata.normalize("NFC", said).split())


def zone_name(tzid: str) -> str:
    """The name of a zone that people know: aliases of old are resolved (US/Eastern), towns that share their clock with
    another one keep their own (Europe/Stockholm). An unknown name stays as it is."""
    if tzid in _UTC_NAMES:
        return "UTC"
    if tzid in _towns() or tzid not in ZONES:
        return tzid
    return _aliases().get(tzid, tzid)


def order(point: Point) -> datetime:
    """What points are sorted by."""
    return point if isinstance(point, datetime) else datetime.combine(point, time())


def shifted(point: Point, by: timedelta) -> Point:
    """The point so much later; a date moves by whole days."""
    return point + by if isinstance(point, datetime) else point + timedelta(days=by.days)


def rule_parts(rrule: str) -> dict[str, str]:
    """The parts of the value of an RRULE, in upper case. Raises `RuleUnreadable`."""
    parts: dict[str, str] = {}
    for each in rrule.removeprefix("RRULE:").strip().strip(";").upper().split(";"):
        name, found, value = each.partition("=")
        if not found or not value or name in parts or (name not in _PARTS and not name.startswith("X-")):
            raise RuleUnreadable("not a recurrence rule")
        parts[name] = value
    if "FREQ" not in parts:
        raise RuleUnreadable("a recurrence rule has a FREQ")
    return {name: value for name, value in parts.items() if not name.startswith("X-")}


def rule_text(parts: dict[str, str]) -> str:
    """The value of an RRULE with its parts in the canonical order."""
    return ";".join(f"{name}={parts[name]}" for name in _PARTS if parts.get(name))


def canonical_rrule(rrule: str, start: Point, tzid: str | None) -> str:
    """The rule of a series that begins then. Raises `RuleUnreadable`."""
    parts = rule_parts(rrule)
    if not isinstance(start, datetime):
        for name in _TIMES:
            parts.pop(name, None)
    try:
        if "UNTIL" in parts:
            parts["UNTIL"] = _until(parts["UNTIL"], start, tzid, one_time=not parts.keys() & _TIMES)
        if int(parts.get("INTERVAL", 1)) == 1:
            parts.pop("INTERVAL", None)
        for name in _NUMBERS & parts.keys():
            parts[name] = ",".join(map(str, sorted({int(each) for each in parts[name].split(",")})))
    except ValueError as error:
        raise RuleUnreadable("a recurrence rule has numbers in its parts") from error
    if "BYDAY" in parts:
        _tidy_days(parts)
    counts_weeks = (parts["FREQ"] == "WEEKLY" and parts.keys() & {"INTERVAL", "BYSETPOS"}) or "BYWEEKNO" in parts
    if not counts_weeks or parts.get("WKST") == "MO":
        parts.pop("WKST", None)
    _drop_what_the_start_says(parts, order(start))
    return rule_text(parts)


def _until(said: str, start: Point, tzid: str | None, *, one_time: bool) -> str:
    """The end of the last day on which the series may take place. Providers write an UNTIL as a date, as an instant or
    as the last occurrence; with one time of day they all mean the same days."""
    day = date(int(said[:4]), int(said[4:6]), int(said[6:8]))
    if not isinstance(start, datetime):
        return f"{day:%Y%m%d}"
    zone = ZoneInfo(tzid or "UTC")
    if "T" in said:
        at = datetime.strptime(said.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - the zone follows
        local = at.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) if said.endswith("Z") else at
        if not one_time:
            return f"{local.replace(tzinfo=zone).astimezone(UTC):%Y%m%dT%H%M%SZ}"
        day = local.date() if start.time() <= local.time() else local.date() - timedelta(days=1)
    last = datetime.combine(day, _LAST_SECOND, zone).astimezone(UTC)
    return f"{last:%Y%m%dT%H%M%SZ}"


def _tidy_days(parts: dict[str, str]) -> None:
    """Weekdays in the order of the week; "the third of all Saturdays" said with BYSETPOS is 3SA."""
    found = [_DAY.fullmatch(each) for each in parts["BYDAY"].split(",")]
    if not all(found):
        raise RuleUnreadable("BYDAY has weekdays")
    days = sorted({(int(each[1] or 0), WEEKDAYS.index(each[2])) for each in found if each})
    position = parts.get("BYSETPOS", "")
    others = parts.keys() & {*_TIMES, "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"}
    one_day = parts["FREQ"] == "MONTHLY" and len(days) == 1 and days[0][0] == 0
    if one_day and not others and re.fullmatch(r"-?[1-5]", position):
        days = [(int(position), days[0][1])]
        del parts["BYSETPOS"]
    days.sort(key=lambda each: (each[1], each[0]))
    parts["BYDAY"] = ",".join(f"{nth or ''}{WEEKDAYS[day]}" for nth, day in days)


def _drop_what_the_start_says(parts: dict[str, str], start: datetime) -> None:
    """Some providers repeat the day of the start in the rule, others leave it out."""
    same = {"BYDAY": WEEKDAYS[start.weekday()], "BYMONTHDAY": str(start.day), "BYMONTH": str(start.month)}
    days = {name: value for name, value in parts.items() if name in _DAYS}
    repeated = _REPEATED.get(parts["FREQ"], ())
    if any(days == {name: same[name] for name in names} for names in repeated):
        for name in days:
            del parts[name]


def _override(override: Override) -> Override:
    return replace(
        override,
        original=_point(override.original),
        start=_point(override.start),
        end=_point(override.end),
        title=line(override.title),
        notes=text(override.notes),
        location=line(override.location),
    )


def _point(point: Point) -> Point:
    return point.replace(microsecond=0, tzinfo=None, fold=0) if isinstance(point, datetime) else point


@cache
def _towns() -> frozenset[str]:
    """The names of zone.tab: one for each region of each country."""
    return frozenset(row[2] for row in _rows("zone.tab", "\t"))


@cache
def _aliases() -> dict[str, str]:
    """Links of tzdata.zi, followed to their end."""
    links = {row[2]: row[1] for row in _rows("tzdata.zi", " ") if row[0] == "L"}
    return {name: links.get(target, target) for name, target in links.items()}


def _rows(file: str, separator: str) -> Iterable[list[str]]:
    read = resources.files("tzdata").joinpath("zoneinfo", file).read_text(encoding="utf-8")
    return (row.split(separator) for row in read.splitlines() if row and not row.startswith("#"))
