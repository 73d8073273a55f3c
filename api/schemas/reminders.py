"""Requests and answers of reminders: the base schema's fields (product.md §3.3) beside the `schedule` object."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from api.schemas.instant import Instant

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Description = Annotated[str, StringConstraints(max_length=10_000)]
Category = Literal["medication", "vaccination", "appointment", "grooming", "feeding", "other"]
Method = Literal["email", "push", "sms", "in_app"]
StepChannel = Literal["email", "push", "sms", "in_app", "digest"]
Whom = Annotated[
    str,
    StringConstraints(
        pattern=r"^(assignee|others|everyone|owners|caretakers|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
    ),
    Field(description="Whose turn it is: what they are to the reminder or in its household, or the id of one member."),
]
Shorthand = Annotated[str, StringConstraints(max_length=64)]
LeadMinutes = Annotated[int, Field(ge=5, le=86_400)]
READ_ONLY = (
    "id user_id household_id class state ended_reason pending_channel warnings created_at updated_at version".split()
)
SCHEDULE: Any = {
    "mode": "fixed",
    "dtstart_local": "2026-01-31T09:00",
    "tzid": "Europe/Berlin",
    "tz_mode": "pet_home",
    "freq": "MONTHLY",
    "interval": 1,
    "byday": None,
    "bymonthday": None,
    "wkst": "MO",
    "times": ["09:00"],
    "count": None,
    "until": None,
    "every": None,
    "start_at": None,
    "grace_minutes": None,
    "rrule": "FREQ=MONTHLY",
    "version": 1,
    "tzdata": "2026f",
}


class WarningOut(BaseModel):
    """Something to know about what was accepted: `nothing_ahead`, `occurrence_dropped`."""

    code: str
    detail: str


class StepOut(BaseModel):
    """One step of the escalation, counted from when it was due or snoozed to; taken until somebody acts or has seen it.
    `digest` is a line in the person's next digest."""

    after_minutes: int
    channels: list[StepChannel]
    who: Whom


class StepIn(BaseModel):
    """A step of one's own policy."""

    model_config = ConfigDict(extra="forbid")

    after_minutes: int = Field(ge=1, le=44_640)
    channels: Annotated[list[StepChannel], Field(min_length=1, max_length=5)]
    who: Whom = "assignee"


class DoseGuardOut(BaseModel):
    """When a dose may be given: so long before its time, and so long after the one before it (null: no such limit)."""

    early_window_minutes: int
    min_gap_minutes: int | None


class DoseGuardIn(BaseModel):
    """Limits of one's own; null is the default."""

    model_config = ConfigDict(extra="forbid")

    early_window_minutes: int | None = Field(default=None, ge=0, le=10_080)
    min_gap_minutes: int | None = Field(default=None, ge=1, le=10_080)


class ReminderOut(BaseModel):
    """A reminder. `reminder_date` is the next pending instant, `repeat_interval` the rule in one word; `schedule` says
    all of it (docs: recurrence). `pending_channel` lists channels that are stored and not live yet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000010",
                    "user_id": "019aaf3e-0000-7000-8000-000000000002",
                    "household_id": "019aaf3e-0000-7000-8000-000000000003",
                    "pet_id": "019aaf3e-0000-7000-8000-000000000001",
                    "title": "Flea tablet",
                    "description": None,
                    "reminder_date": "2026-11-30T08:00:00Z",
                    "repeat_interval": "monthly",
                    "is_completed": False,
                    "notification_methods": ["email", "in_app"],
                    "pending_channel": [],
                    "lead_minutes": [1440],
                    "steps": [{"after_minutes": 1440, "channels": ["digest"], "who": "assignee"}],
                    "dose_guard": None,
                    "class": "routine",
                    "category": "grooming",
                    "schedule": SCHEDULE,
                    "state": "active",
                    "ended_reason": None,
                    "warnings": [],
                    "created_at": "2026-01-02T10:00:00Z",
                    "updated_at": "2026-10-31T08:00:01Z",
                    "version": 11,
                }
            ]
        }
    )

    id: UUID
    user_id: UUID
    household_id: UUID
    pet_id: UUID | None
    title: str
    description: str | None
    reminder_date: datetime | None
    repeat_interval: str | None
    is_completed: bool
    notification_methods: list[Method]
    pending_channel: list[Method]
    lead_minutes: list[int]
    steps: list[StepOut]
    dose_guard: DoseGuardOut | None
    klass: str = Field(alias="class")
    category: str
    schedule: dict[str, Any]
    state: Literal["active", "paused", "ended"]
    ended_reason: str | None
    warnings: list[WarningOut]
    created_at: datetime
    updated_at: datetime
    version: int


class ReminderPage(BaseModel):
    """One page."""

    items: list[ReminderOut]
    next_cursor: str | None


class _Fields(BaseModel):
    """What may be written. Read-only fields sent back unchanged are accepted, so that an answer can be edited."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    description: Description | None = None
    pet_id: UUID | None = None
    schedule: dict[str, Any] | None = None
    reminder_date: Shorthand | None = None
    repeat_interval: Shorthand | None = None
    notification_methods: Annotated[list[Method], Field(min_length=1, max_length=4)] | None = None
    lead_minutes: Annotated[list[LeadMinutes], Field(max_length=5)] | None = None
    steps: Annotated[list[StepIn], Field(max_length=8)] | None = None
    dose_guard: DoseGuardIn | None = None
    category: Category | None = None
    is_completed: bool | None = None

    id: Any = None
    user_id: Any = None
    household_id: Any = None
    klass: Any = Field(default=None, alias="class")
    state: Any = None
    ended_reason: Any = None
    pending_channel: Any = None
    warnings: Any = None
    created_at: Any = None
    updated_at: Any = None
    version: Any = None

    @field_validator("notification_methods")
    @classmethod
    def _each_once(cls, methods: list[str] | None) -> list[str] | None:
        if methods is not None and len(set(methods)) != len(methods):
            raise ValueError("each channel once")
        return methods


class ReminderIn(_Fields):
    """A new reminder: a `schedule`, or the base schema's `reminder_date` with `repeat_interval`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Flea tablet",
                    "pet_id": "019aaf3e-0000-7000-8000-000000000001",
                    "schedule": {"mode": "fixed", "dtstart_local": "2026-01-31T09:00", "freq": "MONTHLY"},
                    "notification_methods": ["email", "in_app"],
                },
                {"title": "Vet", "reminder_date": "2026-12-01T10:00", "repeat_interval": None},
            ]
        }
    )

    title: Title


class ReminderUpdate(_Fields):
    """Fields present are changed, absent ones keep their value, PUT and PATCH alike; `schedule` changes as a whole."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"title": "Flea tablet", "notification_methods": ["email"]}]}
    )

    title: Title | None = None


class QuietHoursIn(BaseModel):
    """A daily window on somebody's clock: start inclusive, end exclusive."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    end: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    tzid: Annotated[str, StringConstraints(max_length=64)]


class PreviewIn(BaseModel):
    """Expand a schedule without saving it. `after` defaults to now."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "schedule": {
                        "mode": "fixed",
                        "dtstart_local": "2026-01-31T09:00",
                        "tzid": "Europe/Berlin",
                        "freq": "MONTHLY",
                    },
                    "after": "2026-02-01T00:00:00Z",
                    "limit": 3,
                }
            ]
        },
    )

    schedule: dict[str, Any]
    after: Instant | None = None
    limit: int = Field(default=10, ge=1, le=100)
    pet_id: UUID | None = None
    completed_at: Instant | None = None
    quiet_hours: QuietHoursIn | None = None


class PreviewedOut(BaseModel):
    """One coming occurrence. `shift` says why its local time is not the nominal one."""

    key: str
    nominal: str
    instant: datetime
    local: datetime
    shift: list[Literal["gap", "overlap_first", "clamped"]]
    notice_at: datetime


class PreviewOut(BaseModel):
    """What a schedule leads to, with the version of the zone data it was computed with."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "occurrences": [
                        {
                            "key": "2026-11-30T09:00",
                            "nominal": "2026-11-30T09:00",
                            "instant": "2026-11-30T08:00:00Z",
                            "local": "2026-11-30T09:00:00+01:00",
                            "shift": [],
                            "notice_at": "2026-11-30T08:00:00Z",
                        }
                    ],
                    "tzdata": "2026f",
                }
            ]
        }
    )

    occurrences: list[PreviewedOut]
    tzdata: str
