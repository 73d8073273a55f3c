"""The agenda: what was, is and will be due, over all pets."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class AgendaItemOut(BaseModel):
    """One occurrence: with its outcome where it has one, as the schedule leads to it where it is still far away
    (`occurrence_id` is null until it comes next). `local` is the time on the schedule's clock. `quiet`: nothing will be
    said of it at that time, because the household is away."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reminder_id": "019aaf3e-0000-7000-8000-000000000010",
                    "occurrence_id": None,
                    "key": "f:1:2026-11-30T09:00",
                    "title": "Flea tablet",
                    "pet_id": "019aaf3e-0000-7000-8000-000000000001",
                    "pet_name": "Milo",
                    "category": "medication",
                    "class": "dose",
                    "nominal": "2026-11-30T09:00",
                    "instant": "2026-11-30T08:00:00Z",
                    "local": "2026-11-30T09:00:00+01:00",
                    "all_day": False,
                    "shift": [],
                    "quiet": None,
                    "state": "scheduled",
                    "late": False,
                    "closed_at": None,
                    "closed_by": None,
                    "completed_at": None,
                    "acknowledged_at": None,
                }
            ]
        }
    )

    reminder_id: UUID
    occurrence_id: UUID | None
    key: str
    title: str
    pet_id: UUID | None
    pet_name: str | None
    category: str
    klass: str = Field(alias="class")
    nominal: str
    instant: datetime
    local: datetime
    all_day: bool
    shift: list[Literal["gap", "overlap_first", "clamped"]]
    quiet: Literal["away"] | None
    state: Literal["scheduled", "due", "done", "skipped", "missed"]
    late: bool
    closed_at: datetime | None
    closed_by: UUID | None
    completed_at: datetime | None
    acknowledged_at: datetime | None


class AgendaPage(BaseModel):
    """One page, in order."""

    items: list[AgendaItemOut]
    next_cursor: str | None
