"""The RRULE of an appointment as text: all that calendars send is read, and written in one form (RFC 5545 §3.3.10)."""

import re
from datetime import UTC, datetime, time
from functools import lru_cache
from typing import Final, cast, get_args

from core.errors import FieldProblem, Invalid
from domain.appointment_rule import Numbers, Recurrence
from domain.recurrence import resolve
from domain.rule import LAST_DATE, WEEKDAYS, Freq

LONGEST_TEXT: Final = 500
MOST_A_DAY: Final = 24
_FREQS: Final = get_args(Freq)
_DAY: Final = re.compile(r"([+-]?[1-9]\d?)?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d{1,4}", re.ASCII)
_UNTIL: Final = re.compile(r"\d{8}(T\d{6}Z?)?", re.ASCII)
_LISTS: Final = {
    "BYSECOND": ("seconds", 0, 59),
    "BYMINUTE": ("minutes", 0, 59),
    "BYHOUR": ("hours", 0, 23),
    "BYMONTHDAY": ("monthdays", -31, 31),
    "BYYEARDAY": ("yeardays", -366, 366),
    "BYWEEKNO": ("weeknos", -53, 53),
    "BYMONTH": ("months", 1, 12),
    "BYSETPOS": ("positions", -366, 366),
}
"""The parts that are lists of numbers: their field, the least and the greatest; no 0 among what may be negative."""
_ORDER: Final = (
    *("FREQ", "UNTIL", "COUNT", "INTERVAL", "BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY"),
    *("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST"),
)
_TIMES: Final = ("BYSECOND", "BYMINUTE", "BYHOUR")


def format_rrule(rule: Recurrence) -> str:
    """The rule in its one form: parts in one order, lists sorted, defaults left out."""
    parts = {name: ",".join(map(str, getattr(rule, field))) for name, (field, _, _) in _LISTS.items()}
    parts |= {
        "FREQ": rule.freq,
        "UNTIL": f"{rule.until:{'%Y%m%dT%H%M%SZ' if rule.tzid else '%Y%m%d'}}" if rule.until else "",
        "COUNT": str(rule.count or ""),
        "INTERVAL": str(rule.interval) if rule.interval > 1 else "",
        "BYDAY": ",".join(f"{n or ''}{WEEKDAYS[day]}" for n, day in rule.days),
        "WKST": WEEKDAYS[rule.wkst] if rule.wkst else "",
    }
    return ";".join(f"{name}={parts[name]}" for name in _ORDER if parts[name])


@lru_cache(maxsize=4096)
def parse(text: str, tzid: str | None) -> Recurrence:
    """The rule of an RRULE value for a series on this clock. Raises `Invalid` with what is wrong with `/rrule`.

    Whole days have no times: parts about them are ignored, as RFC 5545 asks. An UNTIL is taken in every form in which
    calendars write it: a date is the end of that day, a time without Z is on the clock of the series.
    """
    parts = _parts(text)
    freq = parts.get("FREQ")
    if freq not in _FREQS:
        raise _wrong("unsupported_freq", ", ".join(_FREQS))
    lists = {
        field: _numbers(name, parts[name], least, most)
        for name, (field, least, most) in _LISTS.items()
        if name in parts and (tzid or name not in _TIMES)
    }
    rule = Recurrence(
        freq=cast(Freq, freq),
        tzid=tzid,
        until=_until(parts["UNTIL"], tzid) if "UNTIL" in parts else None,
        count=_one(parts["COUNT"], "COUNT") if "COUNT" in parts else None,
        interval=_one(parts.get("INTERVAL", "1"), "INTERVAL"),
        days=_days(parts["BYDAY"]) if "BYDAY" in parts else (),
        wkst=_weekday(parts.get("WKST", "MO")),
        **lists,
    )
    _check(rule)
    return rule


def _parts(text: str) -> dict[str, str]:
    if len(text) > LONGEST_TEXT:
        raise _wrong("rrule_syntax", f"at most {LONGEST_TEXT} characters")
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").rstrip(";").split(";"):
        name, _, value = part.partition("=")
        if name not in _ORDER:
            raise _wrong("unsupported_part", f"one RRULE of {', '.join(_ORDER)}")
        if not value or name in parts:
            raise _wrong("rrule_syntax", "NAME=VALUE parts separated by semicolons, each name once")
        parts[name] = value
    return parts


def _numbers(name: str, value: str, least: int, most: int) -> Numbers:
    entries = value.split(",")
    if not all(_NUMBER.fullmatch(entry) for entry in entries):
        raise _wrong("rrule_syntax", f"{name} takes whole numbers separated by commas")
    numbers = {int(entry) for entry in entries}
    if min(numbers) < least or max(numbers) > most or (least < 0 and 0 in numbers):
        raise _wrong("rrule_range", f"{name} takes {least} to {most}" + (", without 0" if least < 0 else ""))
    return tuple(sorted(numbers))


def _one(value: str, name: str) -> int:
    numbers = _numbers(name, value, 1, 9999)
    if len(numbers) > 1:
        raise _wrong("rrule_syntax", f"{name} takes one number")
    return numbers[0]


def _days(value: str) -> tuple[tuple[int, int], ...]:
    found = [_DAY.fullmatch(entry) for entry in value.split(",")]
    if not all(found):
        raise _wrong("rrule_syntax", "BYDAY takes weekdays such as MO,WE or 3SA")
    days = {(int(match[1] or 0), WEEKDAYS.index(match[2])) for match in found if match}
    return tuple(sorted(days, key=lambda day: (day[1], day[0])))


def _weekday(value: str) -> int:
    if value not in WEEKDAYS:
        raise _wrong("rrule_syntax", "WKST takes one weekday")
    return WEEKDAYS.index(value)


def _until(value: str, tzid: str | None) -> datetime:
    try:
        if not _UNTIL.fullmatch(value):
            raise ValueError
        day = datetime.strptime(value[:8], "%Y%m%d")  # noqa: DTZ007 - a wall time
        if tzid is None:
            return day
        if "T" not in value:
            return resolve(datetime.combine(day, time(23, 59, 59)), tzid)
        at = datetime.strptime(value.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - the zone follows
        return at.replace(tzinfo=UTC) if value.endswith("Z") else resolve(at, tzid)
    except (ValueError, OverflowError):
        raise _wrong("rrule_syntax", "UNTIL takes a date, or a date and time in UTC that exist") from None


def _check(rule: Recurrence) -> None:
    """What RFC 5545 does not allow together."""
    nth = any(n for n, _ in rule.days)
    often = max(1, len(rule.hours)) * max(1, len(rule.minutes)) * max(1, len(rule.seconds))
    refused = (
        (rule.count and rule.until, "COUNT or UNTIL, not both"),
        (rule.until and not 1900 <= rule.until.year <= LAST_DATE.year, f"UNTIL lies in 1900 to {LAST_DATE.year}"),
        (rule.freq == "WEEKLY" and rule.monthdays, "WEEKLY takes no BYMONTHDAY"),
        (rule.freq != "YEARLY" and (rule.yeardays or rule.weeknos), "BYYEARDAY and BYWEEKNO need YEARLY"),
        (nth and rule.freq in ("DAILY", "WEEKLY"), "an n-th weekday needs MONTHLY or YEARLY"),
        (nth and rule.weeknos, "an n-th weekday has no BYWEEKNO beside it"),
        (often > MOST_A_DAY, f"at most {MOST_A_DAY} times a day"),
    )
    for wrong, detail in refused:
        if wrong:
            raise _wrong("rrule_parts", detail)


def _wrong(code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem("/rrule", code, detail),))
