"""Requests and answers about the times in which a household is away."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.schemas.grants import Pets, each_once
from api.schemas.instant import Instant
from api.schemas.reminders import Category

Categories = Annotated[list[Category], Field(min_length=1), AfterValidator(each_once)]
_PET = "019aaf3e-0000-7000-8000-000000000001"
_FROM, _UNTIL = "2026-08-01T07:00:00Z", "2026-08-08T22:00:00Z"


class AbsenceIn(BaseModel):
    """You are away, and nobody stands in for you. What falls due meanwhile is skipped without a word, and goes on by
    itself afterwards; what comes only once, or some time after it was done, asks when you are back. Feeding, grooming
    and other things, unless `categories` says otherwise: name medication, vaccination and appointment yourself if they
    are to be quiet too. At most 366 days."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"starts_at": _FROM, "ends_at": _UNTIL},
                {"starts_at": _FROM, "ends_at": _UNTIL, "pet_ids": [_PET], "categories": ["feeding"]},
            ]
        },
    )

    starts_at: Instant | None = Field(default=None, description="Now, unless it is later.")
    ends_at: Instant = Field(description="When you are back: from then on you are asked again.")
    pet_ids: Pets | None = Field(
        default=None, description="Those it is about. Without: all of the household, and what belongs to no pet."
    )
    categories: Categories | None = Field(default=None, description="Without: feeding, grooming, other.")


class AbsenceUpdate(BaseModel):
    """You are back earlier or later than you said."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"ends_at": _UNTIL}]})

    ends_at: Instant


class AbsenceOut(BaseModel):
    """An absence. `ended_at`: it was ended before its time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000070",
                    "household_id": "019aaf3e-0000-7000-8000-000000000003",
                    "state": "coming",
                    "starts_at": _FROM,
                    "ends_at": _UNTIL,
                    "pet_ids": None,
                    "categories": ["feeding", "grooming", "other"],
                    "ended_at": None,
                    "created_at": "2026-07-20T08:00:00Z",
                    "updated_at": "2026-07-20T08:00:00Z",
                    "version": 1,
                }
            ]
        }
    )

    id: UUID
    household_id: UUID
    state: Literal["coming", "active", "over"]
    starts_at: datetime
    ends_at: datetime
    pet_ids: list[UUID] | None
    categories: list[Category]
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


class AbsencePage(BaseModel):
    """One page, the newest first."""

    items: list[AbsenceOut]
    next_cursor: str | None
