"""Answers of `/notifications`."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class NotificationOut(BaseModel):
    """A line in the app. `step`: `due`, `snooze-1`, `overdue-1`; `title` and `pet_name` are those of this moment."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000030",
                    "kind": "reminder_due",
                    "step": "due",
                    "reminder_id": "019aaf3e-0000-7000-8000-000000000010",
                    "occurrence_id": "019aaf3e-0000-7000-8000-000000000020",
                    "pet_id": "019aaf3e-0000-7000-8000-000000000001",
                    "pet_name": "Milo",
                    "title": "Flea tablet",
                    "due": "2026-11-30T08:00:00Z",
                    "nominal": "2026-11-30T09:00",
                    "tzid": "Europe/Berlin",
                    "late": False,
                    "state": "due",
                    "read_at": None,
                    "created_at": "2026-11-30T08:00:00.120Z",
                }
            ]
        }
    )

    id: UUID
    kind: Literal["reminder_due"]
    step: str
    reminder_id: UUID
    occurrence_id: UUID
    pet_id: UUID | None
    pet_name: str | None
    title: str
    due: datetime
    nominal: str = Field(description="The wall-clock time the schedule names, in `tzid`.")
    tzid: str | None
    late: bool
    state: Literal["due", "missed"]
    read_at: datetime | None
    created_at: datetime


class NotificationPage(BaseModel):
    """One page, the newest first."""

    items: list[NotificationOut]
    next_cursor: str | None


class UnreadOut(BaseModel):
    """How many lines are unread. Counting stops at 100."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"unread": 3}]})

    unread: int
