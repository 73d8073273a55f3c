"""Where a series' occurrences are: RFC 5545 lines on the wall clock of a zone, expanded by dateutil.

A wall time is naive. An occurrence is known by the instant at which the rule puts it: `20260301T080000Z`, or
`20260301` where whole days recur. That name stays, whatever becomes of the occurrence itself.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

LIMIT: Final = 10_000
"""Occurrences that are looked at, at most, whatever the window."""
_LINE: Final = re.compile(r"(RRULE|EXRULE|RDATE|EXDATE)((?:;[^:]*)?):(.+)", re.IGNORECASE)
_UNTIL: Final = re.compile(r"UNTIL=(\d{8}T\d{6})Z", re.IGNORECASE)


def zone_of(name: str) -> ZoneInfo:
    """A zone by its IANA or Windows name; Outlook's old names of its own say nothing and are UTC. Raises `ValueError`
    for a name that nobody knows."""
    if name.startswith("tzone://Microsoft/"):
        return ZoneInfo("UTC")
    try:
        return ZoneInfo(WINDOWS_TO_OLSON.get(name, name))
    except (KeyError, OSError, ValueError):
        raise ValueError(f"unknown time zone {name!r}") from None


@dataclass(frozen=True, slots=True)
class Series:
    """`start`: the wall time, or the midnight of the day, of the first occurrence; `zone` is None for whole days."""

    start: datetime
    zone: ZoneInfo | None
    lines: tuple[str, ...]

    def occurrences(self) -> Iterator[datetime]:
        """The wall times, in order; at most `LIMIT`. Raises `ValueError` for lines that cannot be read."""
        found = rruleset()
        for line in self.lines:
            self._add(found, line)
        for number, each in enumerate(found):
            if number == LIMIT:
                return
            yield each

    def check(self) -> None:
        """Raises `ValueError` for what is no recurrence."""
        next(self.occurrences(), None)

    def name(self, occurrence: datetime) -> str:
        """What an occurrence is known by."""
        if self.zone is None:
            return f"{occurrence:%Y%m%d}"
        return f"{self.instant(occurrence):%Y%m%dT%H%M%SZ}"

    def instant(self, occurrence: datetime) -> datetime:
        """When it is; whole days begin at midnight UTC."""
        return occurrence.replace(tzinfo=self.zone or UTC).astimezone(UTC)

    def at(self, name: str) -> datetime | None:
        """The occurrence of this name; None when the rule has none there."""
        try:
            wall = self._wall(name)
        except ValueError:
            return None
        for each in self.occurrences():
            if each > wall + timedelta(days=1):
                break
            if self.name(each) == name:
                return each
        return None

    def within(self, begin: datetime, end: datetime, length: timedelta) -> Iterator[datetime]:
        """Those that overlap the instants [begin, end)."""
        for each in self.occurrences():
            instant = self.instant(each)
            if instant >= end:
                return
            if instant + length > begin:
                yield each

    def _add(self, found: rruleset, line: str) -> None:
        parts = _LINE.fullmatch(line.strip())
        if parts is None:
            raise ValueError("not a line of a recurrence")
        word, parameters, value = parts[1].upper(), parts[2], parts[3]
        if word in ("RRULE", "EXRULE"):
            rule = rrulestr(self._local_until(value), dtstart=self.start)
            if not isinstance(rule, rrule):
                raise ValueError("more than one rule")
            (found.rrule if word == "RRULE" else found.exrule)(rule)
            return
        add = found.rdate if word == "RDATE" else found.exdate
        for each in value.split(","):
            add(self._wall(each, parameters))

    def _local_until(self, rule: str) -> str:
        """dateutil compares naive times: UNTIL is an instant, or for whole days a date."""
        if (until := _UNTIL.search(rule)) is None:
            return rule
        instant = datetime.strptime(until[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        wall = instant.astimezone(self.zone or UTC)
        return f"{rule[: until.start()]}UNTIL={wall:%Y%m%dT%H%M%S}{rule[until.end() :]}"

    def _wall(self, text: str, parameters: str = "") -> datetime:
        if "T" not in text:
            return datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a wall time
        moment = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - as above
        given = re.search(r"TZID=([^;:]+)", parameters, re.IGNORECASE)
        zone = UTC if text.endswith("Z") else zone_of(given[1]) if given else self.zone
        return moment.replace(tzinfo=zone).astimezone(self.zone or UTC).replace(tzinfo=None)


def shortened(lines: Sequence[str], series: Series, before: datetime) -> tuple[str, ...]:
    """The lines of the same series that ends before an occurrence."""
    last = series.instant(before) - timedelta(seconds=1)
    until = f"{last:%Y%m%dT%H%M%SZ}" if series.zone else f"{before - timedelta(days=1):%Y%m%d}"
    return tuple(_with_until(line, until) if line.upper().startswith("RRULE") else line for line in lines)


def _with_until(line: str, until: str) -> str:
    word, _, value = line.partition(":")
    kept = [part for part in value.split(";") if not part.upper().startswith(("UNTIL=", "COUNT="))]
    return f"{word}:{';'.join([*kept, f'UNTIL={until}'])}"


def midnight(day: date) -> datetime:
    """The wall time at which a day begins."""
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall time
