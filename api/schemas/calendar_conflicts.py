"""What lost where both sides had changed the same."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue


class ConflictOut(BaseModel):
    """Both you and your calendar had changed `field` since they last agreed on `base`; `winner` says whose value
    stands (`both`: both texts are kept). `title` is that of the appointment or reminder; null when it is gone, and then
    nothing can be restored. `original` names the occurrence of a series. Values are texts, lists, or for `when` an
    object with `start`, `end`, `tzid` and `rrule`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-0000000000b0",
                    "connection_id": "019aaf3e-0000-7000-8000-0000000000a0",
                    "provider": "google",
                    "appointment_id": "019aaf3e-0000-7000-8000-000000000090",
                    "reminder_id": None,
                    "title": "Vet, 9 o'clock",
                    "field": "title",
                    "original": None,
                    "base": "Vet",
                    "local": "Vet, 9 o'clock",
                    "remote": "Dr Herriot",
                    "winner": "local",
                    "created_at": "2026-11-23T16:00:00Z",
                    "restored_at": None,
                }
            ]
        }
    )

    id: UUID
    connection_id: UUID
    provider: Literal["google", "microsoft", "caldav"]
    appointment_id: UUID | None
    reminder_id: UUID | None
    title: str | None
    field: Literal["title", "notes", "location", "when", "alarms", "exdates", "overrides", "status"]
    original: str | None
    base: JsonValue
    local: JsonValue
    remote: JsonValue
    winner: Literal["local", "remote", "both"]
    created_at: datetime
    restored_at: datetime | None


class ConflictPage(BaseModel):
    """One page, the newest first."""

    items: list[ConflictOut]
    next_cursor: str | None
