"""The merged calendar, from Postgres alone. Without a connection: open occurrences, and what the schedules say next."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from api.reminders import document_of, invalid
from api.services import Services
from domain import recurrence
from domain.schedule_json import from_stored
from models.queries import reminder_views as views

LONGEST, USUAL = timedelta(days=366), timedelta(days=30)
YEARS = range(1900, 3000)
"""Far from the ends of what a date can be: what is computed from them stays one."""
PER_REMINDER = 1000
"""Lines of one reminder: a quarter-hourly one fills ten days."""


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
    known = await views.open_before(services.db, user_id, start, end)
    shown = [row for row in known if row["instant"] >= start]
    titles: dict[UUID, str] = {}
    for row in shown:
        if row["reminder_id"] not in titles:
            titles[row["reminder_id"]] = await _title(services, row["reminder_id"], row["title_ct"])
    lines = [_line(row["reminder_id"], row["pet_id"], titles[row["reminder_id"]], row, row["id"]) for row in shown]
    skip = await views.closed_ahead(services.db, user_id, start) | {(row["reminder_id"], row["key"]) for row in known}
    for reminder in await views.active(services.db, user_id):
        coming = _coming(reminder, start, end, skip)
        if coming:
            title = titles.get(reminder["id"]) or await _title(services, reminder["id"], reminder["title_ct"])
            lines += [_line(reminder["id"], reminder["pet_id"], title, found, None) for found in coming]
    return {"items": sorted(lines, key=lambda line: (line["start"], str(line["reminder_id"])))}


def _coming(
    reminder: asyncpg.Record, start: datetime, end: datetime, skip: set[tuple[UUID, str]]
) -> list[dict[str, Any]]:
    """Nominals behind the pending one, which has a row of its own."""
    schedule = from_stored(document_of(reminder["schedule"]))
    if reminder["next_at"] is None or isinstance(schedule, recurrence.AfterCompletion | recurrence.Once):
        return []
    moment = timedelta(microseconds=1)
    found = recurrence.between(schedule, max(start, reminder["next_at"]) - moment, end - moment, PER_REMINDER)
    return [
        {"nominal": occurrence.nominal, "instant": occurrence.instant, "state": "scheduled"}
        for occurrence in found
        if (reminder["id"], occurrence.key) not in skip
    ]


def _line(reminder_id: UUID, pet_id: UUID | None, title: str, row: Any, occurrence_id: UUID | None) -> dict[str, Any]:
    return {
        "source": "reminder",
        "reminder_id": reminder_id,
        "occurrence_id": occurrence_id,
        "pet_id": pet_id,
        "title": title,
        "start": row["instant"],
        "all_day": "T" not in row["nominal"],
        "state": row["state"],
    }


async def _title(services: Services, reminder_id: UUID, sealed: str) -> str:
    return await services.cipher.open("reminders.title_ct", reminder_id, sealed)
