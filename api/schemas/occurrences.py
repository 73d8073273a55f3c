"""Requests and answers of occurrences: what people do when a reminder is due."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.instant import Instant


class OccurrenceOut(BaseModel):
    """One nominal of a reminder with its own state."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000020",
                    "reminder_id": "019aaf3e-0000-7000-8000-000000000010",
                    "key": "2026-11-30T09:00",
                    "schedule_version": 1,
                    "nominal": "2026-11-30T09:00",
                    "instant": "2026-11-30T08:00:00Z",
                    "tzid": "Europe/Berlin",
                    "tzdata": "2026f",
                    "state": "done",
                    "late": False,
                    "notice_at": None,
                    "notified_at": "2026-11-30T08:00:01Z",
                    "lead_at": None,
                    "snooze_count": 0,
                    "closed_at": "2026-11-30T08:12:00Z",
                    "closed_by": "019aaf3e-0000-7000-8000-000000000002",
                    "completed_at": "2026-11-30T08:12:00Z",
                    "acknowledged_at": None,
                    "acknowledged_by": None,
                    "reason": None,
                    "created_at": "2026-11-23T08:00:00Z",
                    "updated_at": "2026-11-30T08:12:00Z",
                    "version": 3,
                }
            ]
        }
    )

    id: UUID
    reminder_id: UUID
    key: str
    schedule_version: int
    nominal: str
    instant: datetime
    tzid: str | None
    tzdata: str
    state: Literal["scheduled", "due", "done", "skipped", "missed", "cancelled", "coalesced"]
    late: bool
    notice_at: datetime | None
    notified_at: datetime | None
    lead_at: datetime | None
    snooze_count: int
    closed_at: datetime | None
    closed_by: UUID | None
    completed_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None
    reason: str | None
    created_at: datetime
    updated_at: datetime
    version: int


class OccurrencePage(BaseModel):
    """One page."""

    items: list[OccurrenceOut]
    next_cursor: str | None


class CompleteIn(BaseModel):
    """Done. `completed_at` corrects the diary; without it, now. `override_reason` gives a dose that the guard refuses,
    and stays on record."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    completed_at: Instant | None = None
    override_reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)] | None = (
        None
    )


class SnoozeIn(BaseModel):
    """Exactly one of: `minutes` of elapsed time, an instant, a wall time on the caller's clock."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"minutes": 30}]})

    minutes: int | None = Field(default=None, ge=1, le=10_080)
    until: Instant | None = None
    until_local: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$")] | None = None
