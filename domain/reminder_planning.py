"""Which occurrence comes next: the only place where a reminder's rules ask the calendar."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from domain import recurrence
from domain.recurrence import TZDATA_VERSION, AfterCompletion, Elapsed, Schedule
from domain.reminder_series import LATE_AFTER, Occurrence, OccurrenceState, Series
from domain.reminder_steps import skipped_ahead

CATCH_UP_LIMIT: Final = 500
"""Nominals taken in by one transaction after an outage; the rest follows in the next one."""
_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Ahead:
    """What follows an occurrence: nominals that have passed by now, the next one, and those folded into another.

    After an outage longer than one transaction takes in, `pending` itself has passed: the next delivery goes on there.
    """

    passed: tuple[Occurrence, ...] = ()
    pending: Occurrence | None = None
    coalesced: tuple[Occurrence, ...] = ()


def started(series: Series, now: datetime) -> Series:
    """A series with the first occurrence of its present schedule. Nothing fires back: of a repeating one the first
    after now; a single one that lies in the past is listed as due, without a notice."""
    if series.repeats:
        return enlisted(series, look_ahead(series, now, now))
    first = recurrence.first_due(series.schedule)
    if first is None:
        return series
    single = _occurrence(series, first, series.top + 1)
    if now - single.instant <= LATE_AFTER:
        return series.put((single,))
    return series.put((skipped_ahead(series, replace(single, state=OccurrenceState.DUE), now),))


def enlisted(series: Series, ahead: Ahead) -> Series:
    """This series with all of that as rows."""
    pending = (ahead.pending,) if ahead.pending else ()
    return series.put((*ahead.passed, *ahead.coalesced, *pending))


def following(series: Series, closed: Occurrence, now: datetime) -> Ahead:
    """What follows an occurrence that was just done or skipped, in any mode."""
    if series.repeats:
        return after(series, closed, now)
    if not isinstance(series.schedule, AfterCompletion):
        return Ahead()
    if closed.completed_at is not None:
        found = recurrence.next_after_completion(series.schedule, closed.completed_at, series.finished)
    else:
        found = recurrence.next_after_skip(series.schedule, closed.nominal, series.finished, now)
    return Ahead(pending=_occurrence(series, found, series.top + 1) if found else None)


def after(series: Series, last: Occurrence, now: datetime) -> Ahead:
    """What follows this occurrence in a series that repeats by itself; nothing in the other modes."""
    if not series.repeats:
        return Ahead()
    # The nominal in the zone of today: after a move the old instant would list it again, or pass over the next.
    return look_ahead(series, recurrence.instant_of(series.schedule, last.nominal), now)


def look_ahead(series: Series, behind: datetime, now: datetime) -> Ahead:
    """The nominals later than `behind`: up to `now`, and the first one after it."""
    passed: list[Occurrence] = []
    coalesced: list[Occurrence] = []
    for seq, found in enumerate(islice(_unhandled(series, behind), CATCH_UP_LIMIT), start=series.top + 1):
        coalesced += _coalesced(series, found, seq, now)
        occurrence = _occurrence(series, found, seq)
        if occurrence.instant > now:
            return Ahead(tuple(passed), occurrence, tuple(coalesced))
        passed.append(occurrence)
    more = passed.pop() if len(passed) == CATCH_UP_LIMIT else None
    return Ahead(tuple(passed), more, tuple(coalesced))


def placed(series: Series, pending: Occurrence) -> Occurrence:
    """The same nominal on the clock and zone data of today."""
    if isinstance(series.schedule, Elapsed):
        return pending
    instant = recurrence.instant_of(series.schedule, pending.nominal)
    return replace(pending, instant=instant, tzid=series.schedule.tzid, tzdata_version=TZDATA_VERSION)


def shift_of(
    schedule: Schedule, key: str, nominal: str, instant: datetime, tzid: str | None
) -> tuple[recurrence.Shift, ...]:
    """Why an occurrence is not at the wall-clock time, or on the day, that its rule names; of an older version of the
    schedule only what the clocks did."""
    found = recurrence.expand(schedule, instant - timedelta(seconds=1), 1)
    if found and found[0].key == key:
        return found[0].shift
    if tzid is None or "T" not in nominal:
        return ()
    return recurrence.zone_shift(datetime.fromisoformat(nominal), tzid)


def _unhandled(series: Series, behind: datetime) -> Iterator[recurrence.Occurrence]:
    size = 1  # the next one is nearly always all that is asked for
    while page := recurrence.expand(series.schedule, behind, size):
        yield from (found for found in page if found.key not in series.handled)
        behind, size = page[-1].instant, _PAGE


def _occurrence(series: Series, found: recurrence.Occurrence, seq: int) -> Occurrence:
    # Done early, the same nominal may come again: after_completion counts instead (recurrence.md §3.3). Its numbers go
    # on over edits, so that no key returns.
    key = f"c:{seq}" if isinstance(series.schedule, AfterCompletion) else found.key
    return Occurrence(
        key=key,
        schedule_version=series.schedule.version,
        seq=seq,
        nominal=found.nominal,
        instant=found.instant,
        tzid=found.tzid,
        tzdata_version=TZDATA_VERSION,
    )


def _coalesced(series: Series, found: recurrence.Occurrence, seq: int, now: datetime) -> list[Occurrence]:
    born_closed = replace(_occurrence(series, found, seq), state=OccurrenceState.COALESCED, closed_at=now)
    version = series.schedule.version
    return [replace(born_closed, key=f"f:{version}:{nominal}", nominal=nominal) for nominal in found.coalesced]
