"""Long-running work as its owner sees it."""

from datetime import UTC, datetime
from typing import Literal

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from temporal import ids
from temporal.gateway import Execution, RunState

_EXAMPLE: dict[str, JsonValue] = {
    # lint-skip: workflow-ids: an example for readers of the OpenAPI document
    "id": "household/019aaf3e-0000-7000-8000-000000000003/reminder/019aaf3e-0000-7000-8000-000000000009",
    "type": "reminder",
    "status": "active",
    "summary": "Reminder: active, next due 2026-12-01 08:00 UTC.",
    "created_at": "2026-11-23T16:00:00Z",
    "updated_at": "2026-11-23T16:00:00Z",
    "result": "/api/v1/reminders/019aaf3e-0000-7000-8000-000000000009",
}


class WorkflowOut(BaseModel):
    """The state of its row, which is what counts; `result` is where the outcome is, if it has a place."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    type: Literal["reminder", "lost", "mail"]
    status: str
    summary: str = Field(description="One sentence for people.")
    created_at: datetime
    updated_at: datetime
    result: str | None

    @classmethod
    def of_reminder(cls, row: asyncpg.Record) -> "WorkflowOut":
        """From a row of `models.queries.workflows`."""
        due = row["next_at"]
        next_due = f"next due {due.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if due else "nothing due"
        return cls(
            id=ids.reminder(row["household_id"], row["id"]),
            type="reminder",
            status=row["state"],
            summary=f"Reminder: {row['state']}, {next_due}.",
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            result=f"/api/v1/reminders/{row['id']}",
        )

    @classmethod
    def of_search(cls, row: asyncpg.Record) -> "WorkflowOut":
        """From a row of `models.queries.workflows`."""
        return cls(
            id=ids.lost_case(row["household_id"], row["id"]),
            type="lost",
            status=row["state"],
            summary=f"Search for a lost pet: {row['state']}.",
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            result=f"/api/v1/pets/{row['pet_id']}/lost",
        )

    @classmethod
    def of_mail(cls, row: asyncpg.Record) -> "WorkflowOut":
        """From a row of `models.queries.workflows`."""
        return cls(
            id=ids.mail(row["user_id"], row["id"]),
            type="mail",
            status=row["state"],
            summary=f"Mail {row['template']}: {row['state']}.",
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            result=None,
        )


class ExecutionOut(BaseModel):
    """The latest run as Temporal sees it. `absent`: not started yet, or over for longer than histories are kept."""

    status: RunState
    started_at: datetime | None
    closed_at: datetime | None


class WorkflowDetail(WorkflowOut):
    """`live` says whether Temporal answered; the rest stands in the row and is right without it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _EXAMPLE
                | {
                    "live": True,
                    "execution": {"status": "running", "started_at": "2026-11-23T16:00:01Z", "closed_at": None},
                }
            ]
        }
    )

    live: bool
    execution: ExecutionOut | None

    @classmethod
    def of(cls, row: WorkflowOut, seen: Execution | None) -> "WorkflowDetail":
        """The row, and what Temporal says (None: nothing in time)."""
        execution = seen and ExecutionOut(status=seen.state, started_at=seen.started_at, closed_at=seen.closed_at)
        return cls(**row.model_dump(), live=seen is not None, execution=execution)


class WorkflowPage(BaseModel):
    """One page."""

    items: list[WorkflowOut]
    next_cursor: str | None
