"""The subset of RFC 5545 recurrence rules we take, as fields and as text (recurrence.md §3.1, §3.2).

The text is RFC 5545, its meaning differs where a date does not exist: `domain.rule` says how and why.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Final, cast, get_args

from domain.recurrence import WEEKDAYS, Freq, Rule
from domain.schedule_fields import Reader, Refused, until_date, weekday, whole

RULE_FIELDS: Final = ("freq", "interval", "byday", "bymonthday", "wkst", "count", "until")
_FREQS: Final = get_args(Freq)
_NTHS: Final = (1, 2, 3, 4, -1)  # a fifth weekday does not exist in every month
_DAY = re.compile(r"([+-]?\d{1,9})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,9}", re.ASCII)
_PARTS: Final = ("FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "WKST", "COUNT", "UNTIL")
_UNSUPPORTED: Final = re.compile(
    r"BYSETPOS|BYYEARDAY|BYWEEKNO|BYMONTH|BYHOUR|BYMINUTE|BYSECOND|RSCALE|SKIP|RDATE|EXDATE|EXRULE|RRULE|X-.*"
)
_LONGEST_TEXT: Final = 500
_Days = tuple[tuple[int | None, int], ...]
"""Weekdays (Monday 0), each with the n of an n-th one."""
_NO_DAYS: Final[_Days] = ()


def fields_of(rule: Rule) -> dict[str, object]:
    """The rule as the fields of the API."""
    return {
        "freq": rule.freq,
        "interval": rule.interval,
        "byday": _days(rule) or None,
        "bymonthday": rule.monthday,
        "wkst": WEEKDAYS[rule.wkst],
        "count": rule.count,
        "until": rule.until and rule.until.isoformat(),
    }


def format_rrule(rule: Rule) -> str:
    """The canonical RRULE: defaults are left out, parts come in a fixed order."""
    parts = {
        "FREQ": rule.freq,
        "INTERVAL": str(rule.interval) if rule.interval != 1 else "",
        "BYDAY": ",".join(_days(rule)),
        "BYMONTHDAY": str(rule.monthday or ""),
        "WKST": WEEKDAYS[rule.wkst] if rule.wkst else "",
        "COUNT": str(rule.count or ""),
        "UNTIL": rule.until.isoformat().replace("-", "") if rule.until else "",
    }
    return ";".join(f"{name}={value}" for name, value in parts.items() if value)


def _days(rule: Rule) -> list[str]:
    return [f"{rule.nth or ''}{WEEKDAYS[day]}" for day in rule.byday]


def read_rrule(reader: Reader) -> Rule | None:
    """The rule of the field `rrule`. Every problem is noted there; None when there was one."""
    inner = Reader({}, f"{reader.pointer}/rrule", as_one=True)
    inner.raw = _fields(inner, reader.raw["rrule"])
    rule = None if inner.problems else read_rule(inner)
    reader.problems += inner.problems
    return rule


def read_rule(reader: Reader) -> Rule | None:
    """The rule of the fields `freq … until`. Every problem is noted; None when there was one."""
    before = len(reader.problems)
    freq = reader.need("freq", _freq)
    interval = reader.read("interval", whole(1, 999, "interval_range"), 1)
    wkst = reader.read("wkst", weekday, 0)
    count, until = read_end(reader)
    byday = reader.read("byday", _byday(freq), _NO_DAYS) if freq else _NO_DAYS
    monthday = reader.read("bymonthday", _monthday(freq), None) if freq else None
    if monthday is not None and byday:
        reader.refuse("bymonthday", "bymonthday_not_allowed", "send byday or bymonthday, not both")
    if freq is None or len(reader.problems) > before:
        return None
    return Rule(
        freq=freq,
        interval=interval,
        byday=tuple(sorted((day for _, day in byday), key=lambda day: (day - wkst) % 7)),
        nth=next((nth for nth, _ in byday), None),
        monthday=monthday,
        wkst=wkst,
        count=count,
        until=until,
    )


def read_end(reader: Reader) -> tuple[int | None, date | None]:
    """`count` or `until`, at most one of them."""
    if {"count", "until"} <= reader.raw.keys():
        reader.refuse("until", "count_and_until", "send count or until, not both")
    return reader.read("count", whole(1, 9999, "count_range"), None), reader.read("until", until_date, None)


def _fields(reader: Reader, text: object) -> dict[str, object]:
    """The parts of an RRULE as the fields of the API; what cannot be one is noted."""
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        reader.refuse("", "rrule_syntax", f"an RRULE as text, at most {_LONGEST_TEXT} characters")
        return {}
    fields: dict[str, object] = {}
    for part in re.split(r"\r?\n|;", text.removeprefix("RRULE:")):
        name, _, value = part.partition("=")
        if _UNSUPPORTED.fullmatch(name.partition(":")[0]):
            reader.refuse("", "unsupported_part", f"one RRULE of {', '.join(_PARTS)}")
        elif name not in _PARTS or name.lower() in fields or not value:
            reader.refuse("", "rrule_syntax", "NAME=VALUE parts separated by semicolons, each name once")
        else:
            try:
                fields[name.lower()] = _value(name, value)
            except Refused as refused:
                reader.refuse("", refused.code, refused.detail)
    if "freq" not in fields and not reader.problems:
        reader.refuse("", "rrule_syntax", "FREQ is missing")
    return fields


def _value(name: str, text: str) -> object:
    """The value of one part as its field has it."""
    if name == "UNTIL":
        return f"{text[:4]}-{text[4:6]}-{text[6:]}" if re.fullmatch(r"\d{8}", text, re.ASCII) else text
    if name == "BYDAY":
        days = text.split(",")
        if not all(_DAY.fullmatch(day) for day in days):
            raise Refused("rrule_syntax", "BYDAY takes weekdays such as MO,WE or 3SA")
        return days
    if name == "WKST" and text not in WEEKDAYS:
        raise Refused("rrule_syntax", "WKST takes one weekday")
    if name in ("INTERVAL", "BYMONTHDAY", "COUNT"):
        if name == "BYMONTHDAY" and "," in text:
            raise Refused("several_monthdays", "one day of the month")
        if not _NUMBER.fullmatch(text):
            raise Refused("rrule_syntax", f"{name} takes a whole number")
        return int(text)
    return text


def _freq(value: object) -> Freq:
    if value not in _FREQS:
        raise Refused("unsupported_freq", f"{', '.join(_FREQS)}; for hours and minutes use mode elapsed")
    return cast(Freq, value)


def _byday(freq: Freq) -> Callable[[object], _Days]:
    def parse(value: object) -> _Days:
        if freq in ("DAILY", "YEARLY"):
            raise Refused("byday_not_allowed", f"{freq} takes no byday")
        entries = value if isinstance(value, list) else []
        matches = [match for entry in entries if isinstance(entry, str) and (match := _DAY.fullmatch(entry))]
        if not matches or len(matches) != len(entries):
            raise Refused("byday_invalid", 'a list such as ["MO", "WE"] or ["3SA"]')
        found = tuple((int(match[1]) if match[1] else None, WEEKDAYS.index(match[2])) for match in matches)
        (_weekly if freq == "WEEKLY" else _monthly)(found)
        return found

    return parse


def _weekly(days: _Days) -> None:
    if any(nth is not None for nth, _ in days):
        raise Refused("unsupported_nth", "an n-th weekday needs MONTHLY")
    if len(set(days)) != len(days):
        raise Refused("byday_invalid", "the same weekday twice")


def _monthly(days: _Days) -> None:
    if len(days) != 1 or days[0][0] not in _NTHS:
        raise Refused("unsupported_nth", "exactly one of 1, 2, 3, 4 or -1 and a weekday, such as 3SA")


def _monthday(freq: Freq) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if freq != "MONTHLY":
            raise Refused("bymonthday_not_allowed", "a day of the month needs MONTHLY")
        if isinstance(value, list):
            raise Refused("several_monthdays", "one day of the month, as a number")
        if value == 0:
            raise Refused("monthday_range", "1 to 31, or -1 for the last day")
        return whole(-1, 31, "monthday_range")(value)

    return parse
