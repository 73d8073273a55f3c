"""Answers of `/notifications`."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from domain.mail_feedback import Suppression
from domain.notification import Category


class NotificationOut(BaseModel):
    """A line in the app. About an occurrence it says which (`step`: `lead-120`, `due`, `due+10`, `snooze-1`,
    `overdue-1`, `missed`; `title` and `pet_name` are those of this moment); about anything else `kind` and `params` do,
    and those fields are null."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000030",
                    "kind": "reminder_due",
                    "category": "grooming",
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
                    "params": {},
                    "read_at": None,
                    "created_at": "2026-11-30T08:00:00.120Z",
                }
            ]
        }
    )

    id: UUID
    kind: str
    category: Category
    step: str
    reminder_id: UUID | None
    occurrence_id: UUID | None
    pet_id: UUID | None
    pet_name: str | None
    title: str | None
    due: datetime | None
    nominal: str | None = Field(description="The wall-clock time the schedule names, in `tzid`.")
    tzid: str | None
    late: bool | None
    state: Literal["scheduled", "due", "missed"] | None
    params: dict[str, JsonValue]
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


class ReadAllIn(BaseModel):
    """`up_to`: the newest line that was seen; without it every line counts."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"up_to": "019aaf3e-0000-7000-8000-000000000030"}]}
    )

    up_to: UUID | None = None


class SuppressionOut(BaseModel):
    """Why the account's address gets no mail that could be switched off; nulls: it does."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"reason": "bounce", "since": "2026-11-24T02:30:00Z", "may_be_lifted": True}],
        }
    )

    reason: Suppression | None
    since: datetime | None
    may_be_lifted: bool
