"""Bodies of `POST /integrations/calendar/sync`."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

_CONNECTION = "019aaf3e-0000-7000-8000-0000000000a0"


class SyncIn(BaseModel):
    """Which calendar; without `connection_id` all that are connected."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"connection_id": _CONNECTION}]}
    )

    connection_id: UUID | None = None


class SyncedOut(BaseModel):
    """How one calendar stands. `done`: `standing` is that after the sync. `under_way`: it goes on by itself, see
    `workflow`. `waiting`: nobody has begun yet, and somebody will."""

    connection_id: UUID
    result: Literal["done", "under_way", "waiting"]
    standing: Literal["ok", "waiting", "failing", "over"] | None
    workflow: str


class SyncOut(BaseModel):
    """All that were asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "connection_id": _CONNECTION,
                            "result": "done",
                            "standing": "ok",
                            "workflow": "/api/v1/workflows/{id}",
                        }
                    ]
                }
            ]
        }
    )

    items: list[SyncedOut]
