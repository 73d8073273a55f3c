"""The merged calendar, from Postgres alone: open occurrences of reminders with what their schedules say next,
appointments that take place, and what is in a person's own connected calendars and nowhere else."""

import heapq
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

import asyncpg

from api import timeline
from api.reminders import invalid
from api.services import Services
from api.timeline import Entry
from domain import appointment as rules
from domain.appointment import Occurrence, point_text
from domain.calendar import Event, Status
from domain.calendar_json import from_json
from domain.calendar_sync import adopted_id
from models.queries import appointment_views, calendar_connections, calendar_external, reminder_views
from models.queries.appointment_rows import to_event

LONGEST, USUAL = timedelta(days=366), timedelta(days=30)
YEARS = range(1900, 3000)
"""Far from the ends of what a date can be: what is computed from them stays one."""
MOST = 10_000
"""Lines of one answer: a quarter-hourly reminder fills a hundred days."""
Line = dict[str, Any]
Span = tuple[datetime, datetime]
NOBODYS: Final[Line] = dict.fromkeys(("reminder_id", "occurrence_id", "appointment_id", "event_id", "pet_id"))
"""A line names what it is of, and nothing else."""


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
    span, zone = (start, end), await reminder_views.clock(services.db, user_id)
    reminders = await _reminders(services, user_id, span)
    planned = await _appointments(services, user_id, span, zone)
    external = await _external(services, user_id, span, zone)
    merged = heapq.merge(reminders, *planned, *external, key=lambda line: line["start"])
    return {"items": await _placed(services, user_id, list(islice(merged, MOST)))}


async def _placed(services: Services, user_id: UUID, lines: list[Line]) -> list[Line]:
    """The lines with the calendars that they are in, too: a linked event is the line of its local row."""
    shown = {name: {line[name] for line in lines} - {None} for name in ("appointment_id", "reminder_id")}
    rows = await calendar_connections.places(services.db, user_id, *shown.values()) if lines else ()
    places: defaultdict[UUID, list[Line]] = defaultdict(list)
    for row in rows:
        places[row["local_id"]].append({name: row[name] for name in ("connection_id", "provider", "state")})
    return [{"calendars": places.get(line["appointment_id"] or line["reminder_id"], [])} | line for line in lines]


async def _reminders(services: Services, user_id: UUID, span: Span) -> list[Line]:
    found = await timeline.entries(services.db, user_id, span, states=timeline.OPEN, limit=MOST)
    titles: dict[UUID, str] = {}
    for entry in found:
        reminder_id = entry.place[1]
        if reminder_id not in titles:
            titles[reminder_id] = await services.cipher.open("reminders.title_ct", reminder_id, entry.row["title_ct"])
    return [_reminder(entry, titles[entry.place[1]]) for entry in found]


async def _appointments(services: Services, user_id: UUID, span: Span, zone: str) -> list[Iterator[Line]]:
    """The lines of each, in order, made as they are asked for."""
    rows = await appointment_views.in_span(services.db, user_id, span, MOST)
    overrides = await appointment_views.overrides(services.db, rows)
    found = [(row, await to_event(services.cipher, row, overrides.get(row["id"], ()))) for row in rows]
    return [_lines(row, event, span, zone) for row, event in found]


def _lines(row: asyncpg.Record, event: Event, span: Span, zone: str) -> Iterator[Line]:
    values = NOBODYS | {"source": "appointment", "appointment_id": row["id"], "pet_id": row["pet_id"]}
    return _each(values | {"state": row["status"]}, event, span, zone)


async def _external(services: Services, user_id: UUID, span: Span, zone: str) -> list[Iterator[Line]]:
    """The lines of each event that is in a calendar of this person alone, as `_appointments`."""
    found = []
    for row in await calendar_external.in_span(services.db, user_id, span, MOST):
        event_id = adopted_id(row["calendar_link_id"], row["remote_id"])
        event = from_json(json.loads(await services.cipher.open(calendar_external.COLUMN, event_id, row["event_ct"])))
        if event.status is not Status.CANCELLED:
            found.append(_each(_shown(row, event_id), event, span, zone))
    return found


def _shown(row: asyncpg.Record, event_id: UUID) -> Line:
    place = {"connection_id": row["connection_id"], "provider": row["provider"], "state": "external"}
    return NOBODYS | {"source": "calendar", "event_id": event_id, "state": "external", "calendars": [place]}


def _each(values: Line, event: Event, span: Span, zone: str) -> Iterator[Line]:
    """A line for each time that the event takes place."""
    found = rules.occurrences(event, *span, zone)
    return (values | _occurrence(each) | {"all_day": event.when.all_day} for each in found)


def _reminder(entry: Entry, title: str) -> Line:
    values = entry.values
    return NOBODYS | {
        "source": "reminder",
        "reminder_id": entry.place[1],
        "occurrence_id": values["occurrence_id"],
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


def _occurrence(found: Occurrence) -> Line:
    return {
        "original": point_text(found.original),
        "title": found.title,
        "start": found.starts,
        "end": found.ends,
        "starts_at": point_text(found.start),
        "ends_at": point_text(found.end),
    }
