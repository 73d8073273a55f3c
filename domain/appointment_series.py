"""Changes of a series and of single occurrences: what happens to the exceptions, as one change of one event."""

from dataclasses import replace
from datetime import datetime, timedelta

from core.errors import NotFound
from domain.appointment import as_time, check_when, ends, named
from domain.calendar import Event, Override, Point, When


class NoSuchOccurrence(NotFound):
    """404: the series has no occurrence of this name."""

    code = "no_such_occurrence"


def reschedule(event: Event, when: When) -> Event:
    """The event at another time, with another rule or on another clock.

    Exceptions keep their places in the series: their names move as its start does. Those which the new rule does not
    lead to are dropped. An occurrence that was moved by itself stays where it was put, one that was only worded
    otherwise moves along; where days become times or times days, all move.
    Raises `Invalid` for a schedule that cannot be used.
    """
    when = check_when(when)
    if when == event.when:
        return event
    by = as_time(when.start) - as_time(event.when.start)
    exdates = {_shifted(each, by, when) for each in event.exdates}
    overrides = [_moved_along(event.when, each, by, when) for each in event.overrides]
    left = named(when, frozenset({*exdates, *(each.original for each in overrides)})) if when.rrule else frozenset()
    return replace(
        event,
        when=when,
        exdates=tuple(sorted(exdates & left, key=as_time)),
        overrides=tuple(each for each in overrides if each.original in left),
    )


def reword(event: Event, title: str, notes: str, location: str) -> Event:
    """The event with other words. Occurrences that said the same as the series do so still."""
    overrides = tuple(
        replace(
            each,
            title=title if each.title == event.title else each.title,
            notes=notes if each.notes == event.notes else each.notes,
            location=location if each.location == event.location else each.location,
        )
        for each in event.overrides
    )
    return replace(event, title=title, notes=notes, location=location, overrides=overrides)


def plain(event: Event, original: Point) -> Override:
    """The occurrence of this name as the series has it. Raises `NoSuchOccurrence`."""
    if event.when.rrule is None or original not in named(event.when, frozenset({original})):
        raise NoSuchOccurrence("the series has no such occurrence")
    end = ends(event.when, original)
    return Override(original, original, end, event.title, event.notes, event.location)


def put(event: Event, one: Override) -> Event:
    """The series with this occurrence, whether it was left out before or not. One that says what the series says is no
    exception. Raises `NoSuchOccurrence`."""
    same = one == plain(event, one.original)
    overrides = [each for each in event.overrides if each.original != one.original]
    return replace(
        event,
        exdates=tuple(each for each in event.exdates if each != one.original),
        overrides=tuple(sorted(overrides + [one] * (not same), key=lambda each: as_time(each.original))),
    )


def leave_out(event: Event, original: Point) -> Event:
    """The series without this occurrence; repeating it changes nothing. Raises `NoSuchOccurrence`."""
    plain(event, original)
    return replace(
        event,
        exdates=tuple(sorted({*event.exdates, original}, key=as_time)),
        overrides=tuple(each for each in event.overrides if each.original != original),
    )


def _shifted(point: Point, by: timedelta, when: When) -> Point:
    at = as_time(point) + by
    return at.date() if when.all_day else at


def _moved_along(before: When, one: Override, by: timedelta, when: When) -> Override:
    original = _shifted(one.original, by, when)
    if (one.start, one.end) == (one.original, ends(before, one.original)):
        return replace(one, original=original, start=original, end=ends(when, original))
    if isinstance(one.start, datetime) == when.all_day:
        return replace(one, original=original, start=original, end=ends(when, original))
    return replace(one, original=original)
