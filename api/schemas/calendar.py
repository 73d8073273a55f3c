"""The merged calendar: what is planned, whoever planned it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class CalendarPlaceOut(BaseModel):
    """One of your connected calendars that shows it, too. `pending`: a change is on its way; `quarantined`: that
    calendar does not take it, see the connection. `external`: it is there and nowhere else."""

    connection_id: UUID
    provider: Literal["google", "microsoft", "caldav"]
    state: Literal["synced", "pending", "quarantined", "external"]


class CalendarEventOut(BaseModel):
    """A line of the merged calendar. `source` says whose it is: an occurrence of a reminder, which carries its id where
    it has a row; of an appointment, named by `original`; or, with the state `external`, of an event that is in one of
    your connected calendars alone (`event_id`): it is changed there, and nobody else sees it. `start` and `end` are
    instants; whole days begin on your clock. `starts_at` and `ends_at` are what the event's own clock shows, or dates,
    the end exclusive."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "appointment",
                    "reminder_id": None,
                    "occurrence_id": None,
                    "appointment_id": "019aaf3e-0000-7000-8000-000000000090",
                    "event_id": None,
                    "original": "2026-11-30T09:00",
                    "pet_id": "019aaf3e-0000-7000-8000-000000000001",
                    "title": "Vet",
                    "start": "2026-11-30T08:00:00Z",
                    "end": "2026-11-30T08:30:00Z",
                    "starts_at": "2026-11-30T09:00",
                    "ends_at": "2026-11-30T09:30",
                    "all_day": False,
                    "state": "planned",
                    "calendars": [
                        {
                            "connection_id": "019aaf3e-0000-7000-8000-0000000000a0",
                            "provider": "google",
                            "state": "synced",
                        }
                    ],
                }
            ]
        }
    )

    source: Literal["reminder", "appointment", "calendar"]
    reminder_id: UUID | None
    occurrence_id: UUID | None
    appointment_id: UUID | None
    event_id: UUID | None
    original: str | None
    pet_id: UUID | None
    title: str
    start: datetime
    end: datetime | None
    starts_at: str | None
    ends_at: str | None
    all_day: bool
    state: Literal["scheduled", "due", "planned", "done", "external"]
    calendars: list[CalendarPlaceOut]


class CalendarOut(BaseModel):
    """Everything between `from` and `to`, in order."""

    items: list[CalendarEventOut]
