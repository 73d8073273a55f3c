"""Bodies of `/staff`."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.auth import Email
from domain.access import Role

_HOME = "019aaf3e-0000-7000-8000-000000000003"


class LookIn(BaseModel):
    """Why an operator has to look. The owners of the household are told the reason in these words."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"household_id": _HOME, "reason": "You asked us why the reminder of Monday did not come."}]
        },
    )

    household_id: UUID
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=500)]


class LookOut(BaseModel):
    """A look that is open until `expires_at`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000050",
                    "household_id": _HOME,
                    "created_at": "2026-11-28T08:00:00Z",
                    "expires_at": "2026-11-28T08:30:00Z",
                }
            ]
        }
    )

    id: UUID
    household_id: UUID
    created_at: datetime
    expires_at: datetime


class LooksOut(BaseModel):
    """Where the operator may look now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": []}]})

    items: list[LookOut]


class FindIn(BaseModel):
    """The address of somebody who asked for help."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"email": "ada@example.com"}]}
    )

    email: Email


class MemberRef(BaseModel):
    """A member, without a name."""

    user_id: UUID
    role: Role


class HomeRef(MemberRef):
    """A household of the person."""

    household_id: UUID


class HomesOut(BaseModel):
    """The person's households; none for an address without an account."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"items": [{"household_id": _HOME, "user_id": "019aaf3e-0000-7000-8000-000000000002", "role": "owner"}]}
            ]
        }
    )

    items: list[HomeRef]


class ReminderRef(BaseModel):
    """A reminder, without its words."""

    id: UUID
    pet_id: UUID | None
    state: str


class HouseholdContentOut(BaseModel):
    """What there is to look at. Each thing is read by its own path, and each reading is written down."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _HOME,
                    "home_tzid": "Europe/Berlin",
                    "created_at": "2026-11-23T08:00:00Z",
                    "members": [{"user_id": "019aaf3e-0000-7000-8000-000000000002", "role": "owner"}],
                    "pets": ["019aaf3e-0000-7000-8000-000000000001"],
                    "reminders": [{"id": "019aaf3e-0000-7000-8000-000000000010", "pet_id": None, "state": "active"}],
                }
            ]
        }
    )

    id: UUID
    home_tzid: str
    created_at: datetime
    members: list[MemberRef]
    pets: Annotated[list[UUID], Field(description="`GET /pets/{id}` reads one.")]
    reminders: list[ReminderRef]
