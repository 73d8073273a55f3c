"""Bodies of `/integrations/calendar/feeds`."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

_EXAMPLE: JsonDict = {
    "id": "019aaf3e-0000-7000-8000-000000000040",
    "pet_id": None,
    "url": "https://petfolio.example/api/v1/feeds/Yq5cN0uVd1pXo3m2L8rZt7wBk4hJ6sGfA9eQiDxTyUM.ics",
    "webcal_url": "webcal://petfolio.example/api/v1/feeds/Yq5cN0uVd1pXo3m2L8rZt7wBk4hJ6sGfA9eQiDxTyUM.ics",
    "last_read_at": "2026-11-23T08:00:00Z",
    "created_at": "2026-11-20T17:12:09Z",
}


class FeedIn(BaseModel):
    """What a feed shows: one pet's reminders, or without `pet_id` those of all pets."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"pet_id": "019aaf3e-0000-7000-8000-000000000001"}]}
    )

    pet_id: UUID | None = None


class FeedOut(BaseModel):
    """A feed. Whoever knows `url` can read it: give it to calendar programs only, and delete the feed if it leaks."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    pet_id: UUID | None
    url: str
    webcal_url: str
    last_read_at: datetime | None
    created_at: datetime


class FeedsOut(BaseModel):
    """All feeds of a person: there are at most twenty."""

    items: list[FeedOut]
    next_cursor: None = None
