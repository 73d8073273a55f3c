"""Requests and answers of appointments: Petfolio's own calendar events."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

READ_ONLY: Final = (
    "id user_id household_id all_day exdates overrides adopted_link_id created_at updated_at version".split()
)
State = Literal["planned", "done", "cancelled"]
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)]
Notes = Annotated[str, StringConstraints(max_length=8_000)]
Wall = Annotated[str, StringConstraints(max_length=32)]
"""`YYYY-MM-DDTHH:MM[:SS]` without offset, or `YYYY-MM-DD`."""
_START: Any = Field(
    default=None,
    description="Wall time on the clock of `tzid` (`2026-06-01T09:00`), or a date for whole days.",
)
_END: Any = Field(
    default=None,
    description="As `starts_at`; for whole days the day after the last one. Without: as long as before, or an hour, "
    "or one day.",
)
_ZONE: Any = Field(default=None, description="IANA name. Without: where the pet lives. Whole days have none.")
_RULE: Any = Field(
    default=None, description="The value of an RFC 5545 RRULE, DAILY to YEARLY; null: it takes place once."
)
_OVERRIDE: Any = {
    "original": "2026-12-14T17:00",
    "starts_at": "2026-12-15T18:00",
    "ends_at": "2026-12-15T19:00",
    "title": "Agility",
    "notes": None,
    "location": "In the hall",
}


class OverrideOut(BaseModel):
    """One occurrence of a series that is otherwise. `original` is where the rule puts it: its name in paths."""

    original: str
    starts_at: str
    ends_at: str
    title: str
    notes: str | None
    location: str | None


class AppointmentOut(BaseModel):
    """An appointment, or a series of them. Times are what the clock of `tzid` shows; whole days are dates, `ends_at`
    the day after the last one. `exdates` were left out, `overrides` are otherwise; both change through
    `/occurrences/{original}`. `alarms`: minutes before the start. `adopted_link_id`: the calendar it came from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000090",
                    "user_id": "019aaf3e-0000-7000-8000-000000000002",
                    "household_id": "019aaf3e-0000-7000-8000-000000000003",
                    "pet_id": "019aaf3e-0000-7000-8000-000000000001",
                    "title": "Agility",
                    "notes": None,
                    "location": "The meadow",
                    "starts_at": "2026-11-30T17:00",
                    "ends_at": "2026-11-30T18:00",
                    "tzid": "Europe/Berlin",
                    "all_day": False,
                    "rrule": "FREQ=WEEKLY",
                    "alarms": [60],
                    "exdates": ["2026-12-28T17:00"],
                    "overrides": [_OVERRIDE],
                    "status": "planned",
                    "adopted_link_id": None,
                    "created_at": "2026-11-02T10:00:00Z",
                    "updated_at": "2026-11-02T10:00:00Z",
                    "version": 3,
                }
            ]
        }
    )

    id: UUID
    user_id: UUID
    household_id: UUID
    pet_id: UUID | None
    title: str
    notes: str | None
    location: str | None
    starts_at: str
    ends_at: str
    tzid: str | None
    all_day: bool
    rrule: str | None
    alarms: list[int]
    exdates: list[str]
    overrides: list[OverrideOut]
    status: State
    adopted_link_id: UUID | None
    created_at: datetime
    updated_at: datetime
    version: int


class AppointmentPage(BaseModel):
    """One page."""

    items: list[AppointmentOut]
    next_cursor: str | None


class _Fields(BaseModel):
    """What may be written. Read-only fields sent back unchanged are accepted, so that an answer can be edited."""

    model_config = ConfigDict(extra="forbid")

    pet_id: UUID | None = None
    notes: Notes | None = None
    location: Words | None = None
    ends_at: Wall | None = _END
    tzid: Annotated[str, StringConstraints(max_length=64)] | None = _ZONE
    rrule: Annotated[str, StringConstraints(max_length=500)] | None = _RULE
    alarms: Annotated[list[int], Field(max_length=20)] | None = Field(
        default=None, description="Minutes before the start, at most four weeks of them."
    )
    status: State | None = None

    id: Any = None
    user_id: Any = None
    household_id: Any = None
    all_day: Any = None
    exdates: Any = None
    overrides: Any = None
    adopted_link_id: Any = None
    created_at: Any = None
    updated_at: Any = None
    version: Any = None


class AppointmentIn(_Fields):
    """A new appointment of a pet, or of your household."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Agility",
                    "pet_id": "019aaf3e-0000-7000-8000-000000000001",
                    "starts_at": "2026-11-30T17:00",
                    "ends_at": "2026-11-30T18:00",
                    "rrule": "FREQ=WEEKLY",
                    "alarms": [60],
                },
                {"title": "Boarding", "starts_at": "2026-12-24", "ends_at": "2026-12-27"},
            ]
        }
    )

    title: Annotated[Words, Field(min_length=1)]
    starts_at: Wall = Field(description=_START.description)


class AppointmentUpdate(_Fields):
    """Fields present are changed, absent ones keep their value, PUT and PATCH alike. Another start moves the series
    with its exceptions; those that the new rule does not lead to are dropped."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"starts_at": "2026-11-30T17:30", "location": "The meadow"}]}
    )

    title: Words | None = None
    starts_at: Wall | None = _START


class OccurrenceChange(BaseModel):
    """One occurrence of a series, whole: what is absent is as the series has it. Without any field it is like the
    others again, also where it was left out."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"starts_at": "2026-12-15T18:00", "location": "In the hall"}]},
    )

    starts_at: Wall | None = None
    ends_at: Wall | None = None
    title: Annotated[Words, Field(min_length=1)] | None = None
    notes: Notes | None = None
    location: Words | None = None
