"""An event of a calendar, in one form for every provider (calendar-sync.md §4.1).

A series with its exceptions is one event: what moves the series moves its exceptions in the same change. Every value
here is canonical (`domain.calendar_form` makes it so), because events are compared as values: one that a provider
merely wrote down differently is not a change. What a provider, or a kind of local row, cannot hold is said by its
`Capabilities`; two events are the same on a side if their projections onto it are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final

Point = datetime | date
"""A naive wall time in whole seconds, or a date for events of whole days."""


class ProviderName(StrEnum):
    """Where a person's calendars are, by the words of routes, rows and task queues."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"
    CALDAV = "caldav"


class Status(StrEnum):
    """Whether it takes place."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


class Field(StrEnum):
    """What is merged by itself. `when` is start, end, zone and rule together: they are never mixed from two sides."""

    TITLE = "title"
    NOTES = "notes"
    LOCATION = "location"
    WHEN = "when"
    ALARMS = "alarms"
    EXDATES = "exdates"
    OVERRIDES = "overrides"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class When:
    """From `start` until `end` on the clock of `tzid` (an IANA name; None for whole days), again by `rrule`.

    Both are wall times or both are dates; the end of whole days is exclusive. `rrule` is the value of one RFC 5545
    RRULE in the canonical order of its parts; its UNTIL is a UTC instant for wall times and a date for whole days.
    """

    start: Point
    end: Point
    tzid: str | None = None
    rrule: str | None = None

    @property
    def all_day(self) -> bool:
        """Whether it is about days and not about times."""
        return not isinstance(self.start, datetime)


@dataclass(frozen=True, slots=True)
class Override:
    """One occurrence of a series that differs, whole: on the clock of the series, at another time or with other words.

    `original` is where the rule puts it (RFC 5545's RECURRENCE-ID), its identity for as long as the series stays.
    """

    original: Point
    start: Point
    end: Point
    title: str
    notes: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """See the module. `alarms`: minutes before the start, none twice; the first is the one that counts where only one
    can be kept. `exdates`: original starts of occurrences that do not take place, sorted. `overrides`: by `original`,
    sorted; what is in `exdates` has none."""

    title: str
    when: When
    notes: str = ""
    location: str = ""
    alarms: tuple[int, ...] = ()
    exdates: tuple[Point, ...] = ()
    overrides: tuple[Override, ...] = ()
    status: Status = Status.CONFIRMED


ALL_FIELDS: Final = frozenset(Field)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a side can hold of an event; the rest stays where it is and is neither sent nor taken as deleted.

    `fields`: those it holds at all. `alarms`: the most it keeps. `title_length`, `notes_length`, `location_length`: in
    characters. `statuses`: those it can say; what does not take place is not shown where that is none of them. `zones`:
    other names under which it gives zones back. `push`: it tells us of changes. `writes_at_once`: to one account,
    of which Outlook takes four (calendar-sync.md §5.2). `decides`: the other side may not change these.
    """

    fields: frozenset[Field] = ALL_FIELDS
    alarms: int = 100
    title_length: int = 1_000
    notes_length: int = 8_000
    location_length: int = 1_000
    statuses: frozenset[Status] = frozenset(Status)
    zones: Mapping[str, str] = field(default_factory=dict)
    decides: frozenset[Field] = frozenset()
    push: bool = False
    writes_at_once: int = 4


EVERYTHING: Final = Capabilities()
"""A side that can hold every event."""
