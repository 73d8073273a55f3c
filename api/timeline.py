"""Occurrences of all the caller's reminders in one order: those that have rows, and those the schedules lead to.

The one mechanism behind the agenda and the merged calendar. What is to come is computed by the code that drives
deliveries, and only as far as somebody reads: two hundred daily reminders over three months are eighteen thousand
lines, and a page shows a hundred.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

import asyncpg

from api.reminders import document_of
from core.db import Database
from domain import recurrence, reminder_planning
from domain.recurrence import AfterCompletion, Once, Schedule
from domain.schedule_json import from_stored
from models.queries import reminder_views as views

Place = tuple[datetime, UUID, str]
"""Where an entry stands in the order: instant, reminder, key."""
OPEN = ("scheduled", "due")
TOLD = ("scheduled", "due", "done", "skipped", "missed")
"""What an agenda shows: not what an edit cancelled, nor what a change of the clocks folded into another."""
_MOMENT = timedelta(microseconds=1)
_AHEAD = 8
"""Occurrences of a schedule computed at a time."""


@dataclass(frozen=True)
class Entry:
    """One line. `row` is that of the occurrence where it has one, of the reminder where the schedule leads there."""

    place: Place
    row: asyncpg.Record
    occurrence: recurrence.Occurrence | None = None

    @cached_property
    def values(self) -> dict[str, Any]:
        """What both kinds of entries have."""
        row, found = self.row, self.occurrence
        if found is None:
            shown = "nominal instant tzid state late closed_at closed_by completed_at acknowledged_at".split()
            return {name: row[name] for name in shown} | {"occurrence_id": row["id"], "shift": self._shift()}
        return {
            "nominal": found.nominal,
            "instant": found.instant,
            "tzid": found.tzid,
            "state": "scheduled",
            "late": False,
            "closed_at": None,
            "closed_by": None,
            "completed_at": None,
            "acknowledged_at": None,
            "occurrence_id": None,
            "shift": list(found.shift),
        }

    def _shift(self) -> list[str]:
        schedule = from_stored(document_of(self.row["schedule"]))
        at = (self.row["key"], self.row["nominal"], self.row["instant"], self.row["tzid"])
        return list(reminder_planning.shift_of(schedule, *at))


async def entries(
    db: Database,
    user_id: UUID,
    span: tuple[datetime, datetime],
    *,
    states: Sequence[str] = TOLD,
    pet_id: UUID | None = None,
    after: Place | None = None,
    limit: int,
) -> list[Entry]:
    """The first `limit` entries of the span (start inclusive, end exclusive) behind `after`."""
    start, end = span
    rows = await views.timeline(db, user_id, span, states, limit, pet_id=pet_id, after=after)
    recorded = [Entry((row["instant"], row["reminder_id"], row["key"]), row) for row in rows]
    behind = max(start, after[0]) if after else start
    has_row = await views.with_row(db, user_id, behind)
    series = await views.active(db, user_id, pet_id)
    coming = [_coming(reminder, behind, end, has_row) for reminder in series]
    merged = heapq.merge(recorded, *coming, key=lambda entry: entry.place)
    return [entry for entry, _ in zip(_behind(merged, after), range(limit), strict=False)]


def _behind(found: Iterator[Entry], after: Place | None) -> Iterator[Entry]:
    return (entry for entry in found if after is None or entry.place > after)


def _coming(
    reminder: asyncpg.Record, start: datetime, end: datetime, has_row: set[tuple[UUID, str]]
) -> Iterator[Entry]:
    """Nominals behind the pending one, which has a row of its own."""
    if reminder["next_at"] is None or reminder["next_at"] >= end:
        return
    schedule: Schedule = from_stored(document_of(reminder["schedule"]))
    if isinstance(schedule, AfterCompletion | Once):
        return
    behind = max(start, reminder["next_at"]) - _MOMENT
    while page := recurrence.expand(schedule, behind, _AHEAD):
        for found in page:
            if found.instant >= end:
                return
            if (reminder["id"], found.key) not in has_row:
                yield Entry((found.instant, reminder["id"], found.key), reminder, found)
        behind = page[-1].instant
