"""`GET /agenda`: all reminders of all pets in one order, the past with its outcome."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from api.reminders import invalid
from api.services import Services
from api.timeline import Entry, Place
from domain.absence import AWAY
from domain.recurrence import resolve
from domain.reminder_series import OccurrenceState
from models.queries import absences
from models.queries import reminder_views as views

LONGEST: Final = timedelta(days=100)
USUAL: Final = timedelta(days=7)
YEARS: Final = range(1900, 3000)
"""Far from the ends of what a date can be: what is computed from them stays one."""


async def span(
    services: Services, user_id: UUID, start: datetime | None, end: datetime | None
) -> tuple[datetime, datetime]:
    """What a view covers: a week from the beginning of today on the caller's clock, unless it says otherwise.

    Raises `Invalid` for a span that is none, or longer than 100 days.
    """
    if start is None:
        zone = await views.clock(services.db, user_id)
        today = datetime.now(ZoneInfo(zone)).date()
        start = resolve(datetime.combine(today, time()), zone)
    if start.year not in YEARS:
        raise invalid("from", "span_invalid", "an agenda shows the years 1900 to 2999")
    end = end or start + USUAL
    if not timedelta() < end - start <= LONGEST:
        raise invalid("to", "span_invalid", "`to` lies after `from`, at most 100 days")
    return start.astimezone(UTC), end.astimezone(UTC)


def place_of(after: Sequence[str] | None) -> Place | None:
    """Where a cursor stands."""
    return None if after is None else (datetime.fromisoformat(after[0]), UUID(after[1]), after[2])


def key_of(entry: Entry) -> tuple[str, str, str]:
    """What a cursor keeps of an entry."""
    instant, reminder_id, key = entry.place
    return instant.isoformat(), str(reminder_id), key


async def present(services: Services, user_id: UUID, found: Sequence[Entry]) -> list[dict[str, Any]]:
    """The documents of `AgendaItemOut`; each title and name is opened once."""
    opened: dict[tuple[str, UUID], str] = {}

    async def clear(column: str, row_id: UUID | None, sealed: str | None) -> str | None:
        if row_id is None or sealed is None:
            return None
        if (column, row_id) not in opened:
            opened[column, row_id] = await services.cipher.open(column, row_id, sealed)
        return opened[column, row_id]

    zone = await views.clock(services.db, user_id)
    quiet = await _quiet(services, found)
    return [
        _item(
            entry,
            zone,
            quiet=AWAY if entry.place[:2] in quiet else None,
            title=await clear("reminders.title_ct", entry.place[1], entry.row["title_ct"]),
            pet_name=await clear("pets.name_ct", entry.row["pet_id"], entry.row["pet_name_ct"]),
        )
        for entry in found
    ]


async def _quiet(services: Services, found: Sequence[Entry]) -> set[tuple[datetime, UUID]]:
    """Those of what is to come that nobody will be asked for, because the household is away."""
    coming = [entry.place[:2] for entry in found if entry.values["state"] == OccurrenceState.SCHEDULED]
    return await absences.quiet(services.db, coming) if coming else set()


def _item(entry: Entry, zone: str, *, quiet: str | None, title: str | None, pet_name: str | None) -> dict[str, Any]:
    values, row = entry.values, entry.row
    tzid = values.pop("tzid") or zone
    return {
        "reminder_id": entry.place[1],
        "key": entry.place[2],
        "title": title,
        "pet_id": row["pet_id"],
        "pet_name": pet_name,
        "category": row["category"],
        "class": row["class"],
        "local": values["instant"].astimezone(ZoneInfo(tzid)).isoformat(),
        "all_day": "T" not in values["nominal"],
        "quiet": quiet,
        **values,
    }
