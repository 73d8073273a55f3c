"""What a schedule leads to, from the code that drives deliveries; nothing is saved."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import asyncpg

from api.reminders import document_of, invalid
from api.schemas.reminders import PreviewIn, QuietHoursIn
from domain import recurrence
from domain.quiet_hours import QuietHours, defer
from domain.recurrence import TZDATA_VERSION, ZONES, AfterCompletion
from domain.reminder_series import ReminderClass, ReminderState
from domain.schedule_json import Zones, from_stored, parse_schedule
from models.queries.notification_preferences import Choices


def preview(body: PreviewIn, zones: Zones) -> dict[str, Any]:
    """The answer of `POST /reminders/preview`."""
    schedule = parse_schedule(body.schedule, zones=zones)
    if body.completed_at is not None:
        if not isinstance(schedule, AfterCompletion):
            raise invalid("completed_at", "field_not_allowed_in_mode", "only after_completion depends on completions")
        following = recurrence.next_after_completion(schedule, body.completed_at, 1)
        found = [following] if following else []
    else:
        found = recurrence.expand(schedule, body.after or _now(), body.limit)
    return previewed(found, [_quiet_hours(body.quiet_hours)] if body.quiet_hours else [])


def preview_saved(row: asyncpg.Record, days: int, choices: Choices | None) -> dict[str, Any]:
    """What a saved reminder leads to in the next days, from its next pending occurrence on, with the reader's quiet
    hours unless it breaks through them."""
    if row["state"] != ReminderState.ACTIVE or row["next_at"] is None:
        return previewed([], [])
    now = _now()
    schedule = from_stored(document_of(row["schedule"]))
    behind = max(now, row["next_at"] - timedelta(microseconds=1))
    return previewed(recurrence.between(schedule, behind, now + timedelta(days=days), limit=1000), _of(choices, row))


def _of(choices: Choices | None, row: asyncpg.Record) -> list[QuietHours]:
    critical = row["class"] != ReminderClass.ROUTINE
    if choices is None or (critical and choices.critical_bypass):
        return []
    return [QuietHours(window.start, window.end, choices.timezone) for window in choices.windows]


def previewed(found: list[recurrence.Occurrence], quiet: Sequence[QuietHours]) -> dict[str, Any]:
    """The document of `PreviewOut`."""
    return {
        "occurrences": [
            {
                "key": occurrence.key,
                "nominal": occurrence.nominal,
                "instant": occurrence.instant,
                "local": occurrence.local.isoformat(),
                "shift": list(occurrence.shift),
                "notice_at": defer(occurrence.instant, quiet),
            }
            for occurrence in found
        ],
        "tzdata": TZDATA_VERSION,
    }


def _quiet_hours(given: QuietHoursIn) -> QuietHours:
    if given.tzid not in ZONES:
        raise invalid("quiet_hours/tzid", "unknown_zone", "not an IANA zone of this release (exact case)")
    return QuietHours(time.fromisoformat(given.start), time.fromisoformat(given.end), given.tzid)


def _now() -> datetime:
    """The process's clock will do: nothing is decided here."""
    return datetime.now(UTC)
