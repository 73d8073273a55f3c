"""The subset of RFC 5545 recurrence rules we take, as fields and as text (recurrence.md §3.1, §3.2).

RFC 5545 ignores dates that do not exist; we clamp to the last day of the month and come back to the anchor day. The
text form is the same, the meaning differs on purpose: losing a dose or a booster is the wrong failure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, get_args

from domain.recurrence import WEEKDAYS, Freq

RULE_FIELDS: Final = ("freq", "interval", "byday", "bymonthday", "wkst")
FREQS: Final = get_args(Freq)
_TOO_FINE: Final = ("HOURLY", "MINUTELY", "SECONDLY")
_NTHS: Final = (1, 2, 3, 4, -1)
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,6}", re.ASCII)
_PARTS: Final = ("FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "WKST", "COUNT", "UNTIL")
_UNSUPPORTED: Final = re.compile(
    r"BYSETPOS|BYYEARDAY|BYWEEKNO|BYMONTH|BYHOUR|BYMINUTE|BYSECOND|RSCALE|SKIP|RDATE|EXDATE|EXRULE|RRULE|X-.*"
)
Refuse = Callable[[str, str, str], None]


class RuleRefused(Exception):
    """Something in a rule that is not supported or not readable. `field` where it is not the one being read."""

    def __init__(self, code: str, detail: str, field: str | None = None) -> None:
        super().__init__(code)
        self.code, self.detail, self.field = code, detail, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What repeats. `byday` are weekday numbers (Monday 0) in week order from `wkst`; `monthday` -1 is the last day."""

    freq: Freq
    interval: int = 1
    byday: tuple[int, ...] = ()
    nth: int | None = None
    monthday: int | None = None
    wkst: int = 0
    count: int | None = None
    until: date | None = None

    def to_json(self) -> dict[str, object]:
        """The rule as the fields of the API."""
        return {
            "freq": self.freq,
            "interval": self.interval,
            "byday": self.days() or None,
            "bymonthday": self.monthday,
            "wkst": WEEKDAYS[self.wkst],
            "count": self.count,
            "until": self.until and self.until.isoformat(),
        }

    def days(self) -> list[str]:
        """`byday` in the words of RFC 5545."""
        return [f"{self.nth or ''}{WEEKDAYS[day]}" for day in self.byday]


def format_rrule(rule: Rule) -> str:
    """The canonical RRULE: defaults are left out, parts come in a fixed order."""
    parts = {
        "FREQ": rule.freq,
        "INTERVAL": str(rule.interval) if rule.interval != 1 else "",
        "BYDAY": ",".join(rule.days()),
        "BYMONTHDAY": str(rule.monthday or ""),
        "WKST": WEEKDAYS[rule.wkst] if rule.wkst else "",
        "COUNT": str(rule.count or ""),
        "UNTIL": rule.until.strftime("%Y%m%d") if rule.until else "",
    }
    return ";".join(f"{name}={value}" for name, value in parts.items() if value)


def parse_rrule(value: object) -> Rule:
    """The rule a text describes. Raises `RuleRefused` with the first problem."""
    if not isinstance(value, str) or not value or len(value) > 500:
        raise RuleRefused("rrule_syntax", "an RRULE, at most 500 characters")
    parts = _split(value)
    fields: dict[str, object] = {"freq": parts["FREQ"]} if "FREQ" in parts else {}
    for part, field in (("INTERVAL", "interval"), ("BYMONTHDAY", "bymonthday"), ("COUNT", "count")):
        if part in parts:
            fields[field] = _number(part, parts[part])
    if "BYDAY" in parts:
        fields["byday"] = parts["BYDAY"].split(",")
    if "WKST" in parts:
        fields["wkst"] = parts["WKST"]
    if "UNTIL" in parts:
        fields["until"] = _until_text(parts["UNTIL"])
    if "freq" not in fields:
        raise RuleRefused("rrule_syntax", "FREQ is missing")

    def refuse(field: str, code: str, detail: str) -> None:
        raise RuleRefused(code, detail)

    rule = read_rule(fields, refuse)
    assert rule is not None  # noqa: S101 - refuse() has raised otherwise
    return rule


def _split(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if _UNSUPPORTED.fullmatch(name) or "\n" in text or "RRULE:" in value:
            raise RuleRefused("unsupported_part", "one RRULE of FREQ, INTERVAL, BYDAY, BYMONTHDAY, WKST, COUNT, UNTIL")
        if not equals or not value or name not in _PARTS or name in parts:
            raise RuleRefused("rrule_syntax", "NAME=VALUE parts separated by semicolons, each name once")
        parts[name] = value
    return parts


def _number(part: str, text: str) -> int:
    if part == "BYMONTHDAY" and "," in text:
        raise RuleRefused("several_monthdays", "one day of the month")
    if not _NUMBER.fullmatch(text):
        raise RuleRefused("rrule_syntax", f"{part} takes a whole number")
    return int(text)


def _until_text(text: str) -> str:
    if re.fullmatch(r"\d{8}", text, re.ASCII):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text


def read_rule(raw: Mapping[str, object], refuse: Refuse) -> Rule | None:
    """The rule of the fields `freq … until`. Every problem goes to `refuse`; None when there was one."""
    problems = 0

    def note(field: str, code: str, detail: str) -> None:
        nonlocal problems
        problems += 1
        refuse(field, code, detail)

    freq = _freq(raw.get("freq"), note)
    interval = _whole(raw, "interval", 1, 999, "interval_range", note) or 1
    count = _whole(raw, "count", 1, 9999, "count_range", note)
    until = _until(raw.get("until"), note)
    wkst = _wkst(raw.get("wkst", "MO"), note)
    if raw.get("count") is not None and raw.get("until") is not None:
        note("until", "count_and_until", "send count or until, not both")
    nth, byday = _byday(raw.get("byday"), freq, note)
    monthday = _monthday(raw.get("bymonthday"), freq, note)
    if monthday is not None and byday:
        note("bymonthday", "bymonthday_not_allowed", "send byday or bymonthday, not both")
    if problems or freq is None:
        return None
    return Rule(
        freq=freq,
        interval=interval,
        byday=tuple(sorted(byday, key=lambda day: (day - wkst) % 7)),
        nth=nth,
        monthday=monthday,
        wkst=wkst,
        count=count,
        until=until,
    )


def _freq(value: object, note: Refuse) -> Freq | None:
    for freq in FREQS:
        if value == freq:
            return freq  # type: ignore[no-any-return]
    if value in _TOO_FINE:
        note("freq", "unsupported_freq", "use mode elapsed for hours and minutes")
    else:
        note("freq", "unsupported_freq", "DAILY, WEEKLY, MONTHLY or YEARLY")
    return None


def _whole(raw: Mapping[str, object], field: str, least: int, most: int, code: str, note: Refuse) -> int | None:
    value = raw.get(field)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        note(field, code, f"a whole number from {least} to {most}")
        return None
    return value


def _until(value: object, note: Refuse) -> date | None:
    if value is None:
        return None
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        note("until", "until_must_be_date", "a local date without time, YYYY-MM-DD")
        return None


def _wkst(value: object, note: Refuse) -> int:
    if isinstance(value, str) and value in WEEKDAYS:
        return WEEKDAYS.index(value)
    note("wkst", "wkst_invalid", "MO, TU, WE, TH, FR, SA or SU")
    return 0


def _byday(value: object, freq: Freq | None, note: Refuse) -> tuple[int | None, tuple[int, ...]]:
    """(nth, weekdays); (None, ()) where the field is absent or was refused."""
    if value is None or freq is None:
        return None, ()
    if freq in ("DAILY", "YEARLY"):
        note("byday", "byday_not_allowed", f"{freq} takes no byday")
        return None, ()
    found = [_DAY.fullmatch(day) if isinstance(day, str) else None for day in value] if isinstance(value, list) else []
    days = [match for match in found if match is not None]
    if not days or len(days) != len(found):
        note("byday", "byday_invalid", 'a list such as ["MO", "WE"] or ["3SA"]')
        return None, ()
    nths = [int(match[1]) if match[1] else None for match in days]
    weekdays = tuple(WEEKDAYS.index(match[2]) for match in days)
    if freq == "WEEKLY":
        if any(nths):
            note("byday", "unsupported_nth", "an n-th weekday needs MONTHLY")
        elif len(set(weekdays)) != len(weekdays):
            note("byday", "byday_invalid", "the same weekday twice")
        return None, weekdays
    if len(days) != 1 or nths[0] not in _NTHS:
        note("byday", "unsupported_nth", "exactly one of 1, 2, 3, 4 or -1 and a weekday, such as 3SA")
    return nths[0], weekdays


def _monthday(value: object, freq: Freq | None, note: Refuse) -> int | None:
    if value is None or freq is None:
        return None
    if freq != "MONTHLY":
        note("bymonthday", "bymonthday_not_allowed", "a day of the month needs MONTHLY")
    elif isinstance(value, list):
        note("bymonthday", "several_monthdays", "one day of the month, as a number")
    elif not isinstance(value, int) or isinstance(value, bool) or not (1 <= value <= 31 or value == -1):
        note("bymonthday", "monthday_range", "1 to 31, or -1 for the last day")
    else:
        return value
    return None
