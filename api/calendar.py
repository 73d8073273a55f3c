"""The merged calendar, from Postgres alone: open occurrences of reminders with what their schedules say next, and
appointments that take place."""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import asyncpg

from api import timeline
from api.reminders import invalid
from api.services import Services
from api.timeline import Entry
from domain import appointment as rules
from domain.appointment import Occurrence, point_text
from domain.calendar import Event
from models.queries import appointment_views, calendar_connections, reminder_views
from models.queries.appointment_rows import to_event

LONGEST, USUAL = timedelta(days=366), timedelta(days=30)
YEARS = range(1900, 3000)
"""Far from the ends of what a date can be: what is computed from them stays one."""
MOST = 10_000
"""Lines of one answer: a quarter-hourly reminder fills a hundred days."""
Line = dict[str, Any]


def now() -> datetime:
    """The beginning of a view that names none."""
    return datetime.now(UTC)


async def events(services: Services, user_id: UUID, start: datetime, end: datetime | None) -> dict[str, Any]:
    """The document of `CalendarOut`, `start` inclusive, `end` exclusive. Raises `Invalid` for an impossible span."""
    if start.year not in YEARS:
        raise invalid("from", "span_invalid", "calendars show the years 1900 to 2999")
    end = end or start + USUAL
    if not timedelta() < end - start <= LONGEST:
        raise invalid("to", "span_invalid", "`to` lies after `from`, at most 366 days")
    reminders = await _reminders(services, user_id, (start, end))
    planned = await _appointments(services, user_id, (start, end))
    merged = heapq.merge(reminders, *planned, key=lambda line: line["start"])
    return {"items": await _placed(services, user_id, list(islice(merged, MOST)))}


async def _placed(services: Services, user_id: UUID, lines: list[Line]) -> list[Line]:
    """The lines with the calendars that they are in, too: a linked event is the line of its local row."""
    shown = {name: {line[name] for line in lines} - {None} for name in ("appointment_id", "reminder_id")}
    rows = await calendar_connections.places(services.db, user_id, *shown.values()) if lines else ()
    places: defaultdict[UUID, list[Line]] = defaultdict(list)
    for row in rows:
        places[row["local_id"]].append({name: row[name] for name in ("connection_id", "provider", "state")})
    return [line | {"calendars": places.get(line["appointment_id"] or line["reminder_id"], [])} for line in lines]


async def _reminders(services: Services, user_id: UUID, span: tuple[datetime, datetime]) -> list[Line]:
    found = await timeline.entries(services.db, user_id, span, states=timeline.OPEN, limit=MOST)
    titles: dict[UUID, str] = {}
    for entry in found:
        reminder_id = entry.place[1]
        if reminder_id not in titles:
            titles[reminder_id] = await services.cipher.open("reminders.title_ct", reminder_id, entry.row["title_ct"])
    return [_reminder(entry, titles[entry.place[1]]) for entry in found]


async def _appointments(services: Services, user_id: UUID, span: tuple[datetime, datetime]) -> list[Iterator[Line]]:
    """The lines of each, in order, made as they are asked for."""
    rows = await appointment_views.in_span(services.db, user_id, span, MOST)
    overrides = await appointment_views.overrides(services.db, rows)
    zone = await reminder_views.clock(services.db, user_id)
    found = [(row, await to_event(services.cipher, row, overrides.get(row["id"], ()))) for row in rows]
    return [_lines(row, event, span, zone) for row, event in found]


def _lines(row: asyncpg.Record, event: Event, span: tuple[datetime, datetime], zone: str) -> Iterator[Line]:
    return (_appointment(row, each, event.when.all_day) for each in rules.occurrences(event, *span, zone))


def _reminder(entry: Entry, title: str) -> Line:
    values = entry.values
    return {
        "source": "reminder",
        "reminder_id": entry.place[1],
        "occurrence_id": values["occurrence_id"],
        "appointment_id": None,
        "original": None,
        "pet_id": entry.row["pet_id"],
        "title": title,
        "start": values["instant"],
        "end": None,
        "starts_at": None,
        "ends_at": None,
        "all_day": "T" not in values["nominal"],
        "state": values["state"],
    }


def _appointment(row: asyncpg.Record, found: Occurrence, all_day: bool) -> Line:
    return {
        "source": "appointment",
        "reminder_id": None,
        "occurrence_id": None,
        "appointment_id": row["id"],
        "original": point_text(found.original),
        "pet_id": row["pet_id"],
        "title": found.title,
        "start": found.starts,
        "end": found.ends,
        "starts_at": point_text(found.start),
        "ends_at": point_text(found.end),
        "all_day": all_day,
        "state": row["status"],
    }
