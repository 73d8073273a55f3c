"""The answer to "why did, or didn't, I get it?"."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.reminders import Whom


class ShiftOut(BaseModel):
    """Why a notice came at another time than the nominal one. `at` is when it comes, or came, instead; `was`: when it
    would have come with the zone data before."""

    kind: Literal["gap", "overlap_first", "clamped", "snoozed", "away", "quiet_hours", "zone_data"]
    at: datetime
    was: datetime | None = None


class AttemptOut(BaseModel):
    """One attempt, one receipt of the provider, or what it cost. `code` says why it did not work, or how many segments
    of a text message were `charged`."""

    at: datetime
    kind: str
    device_id: UUID | None
    provider_id: str | None
    code: str | None


class DeliveryOut(BaseModel):
    """One message to one person on one channel, and what became of it. `not_before`: it is held back until then;
    `retracted_at`: it is shown on no device since then; `grant_id`: it went to them as a sitter, because this grant was
    in force."""

    id: UUID
    user_id: UUID
    grant_id: UUID | None
    channel: str
    step: str
    state: str
    reason: str | None
    provider_id: str | None
    attempts: int
    not_before: datetime | None
    folded_into: UUID | None
    retracted_at: datetime | None
    created_at: datetime
    at: datetime
    events: list[AttemptOut]


class PlannedStepOut(BaseModel):
    """A step that is still to come if nobody acts. `skipped` says why it will not be taken all the same."""

    step: str
    at: datetime
    channels: list[str]
    who: Whom
    skipped: Literal["not_a_member"] | None = None


class DoseOut(BaseModel):
    """A dose that was given, or taken back."""

    state: Literal["given", "undone"]
    given_at: datetime
    recorded_at: datetime
    by_user_id: UUID
    override_reason: str | None


class ExplanationOut(BaseModel):
    """Recorded facts only. `sentence` is about the caller; the rest is about everybody the occurrence concerned."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "occurrence_id": "019aaf3e-0000-7000-8000-000000000020",
                    "reminder_id": "019aaf3e-0000-7000-8000-000000000010",
                    "sentence": "It reached you by e-mail at 2026-11-30 09:00 (Europe/Berlin); it is still to be done.",
                    "state": "due",
                    "late": False,
                    "class": "routine",
                    "category": "grooming",
                    "schedule": {"mode": "fixed", "dtstart_local": "2026-11-30T09:00", "freq": "MONTHLY"},
                    "tzid": "Europe/Berlin",
                    "tzdata": "2026f",
                    "nominal": "2026-11-30T09:00",
                    "instant": "2026-11-30T08:00:00Z",
                    "shifts": [],
                    "deliveries": [
                        {
                            "id": "019aaf3e-0000-7000-8000-000000000030",
                            "user_id": "019aaf3e-0000-7000-8000-000000000002",
                            "grant_id": None,
                            "channel": "email",
                            "step": "due",
                            "state": "sent",
                            "reason": None,
                            "provider_id": "0100019aaf3e",
                            "attempts": 1,
                            "not_before": None,
                            "folded_into": None,
                            "retracted_at": None,
                            "created_at": "2026-11-30T08:00:00Z",
                            "at": "2026-11-30T08:00:01Z",
                            "events": [
                                {
                                    "at": "2026-11-30T08:00:01Z",
                                    "kind": "accepted",
                                    "device_id": None,
                                    "provider_id": "0100019aaf3e",
                                    "code": None,
                                }
                            ],
                        }
                    ],
                    "planned": [],
                    "doses": [],
                }
            ]
        }
    )

    occurrence_id: UUID
    reminder_id: UUID
    sentence: str
    state: str
    late: bool
    klass: str = Field(alias="class")
    category: str
    schedule: dict[str, Any]
    tzid: str | None
    tzdata: str
    nominal: str
    instant: datetime
    shifts: list[ShiftOut]
    deliveries: list[DeliveryOut]
    planned: list[PlannedStepOut]
    doses: list[DoseOut]
