"""The merged calendar, from Postgres alone. Without a connection: open occurrences, and what the schedules say next."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from api import timeline
from api.reminders import invalid
from api.services import Services
from api.timeline import Entry

LONGEST, USUAL = timedelta(days=366), timedelta(days=30)
YEARS = range(1900, 3000)
"""Far from the ends of what a date can be: what is computed from them stays one."""
MOST = 10_000
"""Lines of one answer: a quarter-hourly reminder fills a hundred days."""


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
    found = await timeline.entries(services.db, user_id, (start, end), states=timeline.OPEN, limit=MOST)
    titles: dict[UUID, str] = {}
    for entry in found:
        reminder_id = entry.place[1]
        if reminder_id not in titles:
            titles[reminder_id] = await services.cipher.open("reminders.title_ct", reminder_id, entry.row["title_ct"])
    return {"items": [_line(entry, titles[entry.place[1]]) for entry in found]}


def _line(entry: Entry, title: str) -> dict[str, Any]:
    values = entry.values
    return {
        "source": "reminder",
        "reminder_id": entry.place[1],
        "occurrence_id": values["occurrence_id"],
        "pet_id": entry.row["pet_id"],
        "title": title,
        "start": values["instant"],
        "all_day": "T" not in values["nominal"],
        "state": values["state"],
    }
