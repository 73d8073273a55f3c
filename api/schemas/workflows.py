"""Long-running work as its owner sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

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


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of work is named, what its `until` means, and where its outcome is."""

    workflow_id: Callable[[UUID, UUID], str]
    name: str
    until: str
    result: str


_KINDS: Final = {
    "reminder": _Kind(ids.reminder, "Reminder", "next due", "/reminders/{id}"),
    "lost": _Kind(ids.lost_case, "Search for a lost pet", "until", "/pets/{pet_id}/lost"),
    "media": _Kind(ids.media, "Uploaded file", "until", "/media/{media_id}"),
    "invitation": _Kind(ids.invitation, "Invitation", "until", "/households/{household_id}/invitations"),
    "transfer": _Kind(ids.transfer, "Transfer of a pet", "until", "/households/{household_id}/transfers"),
    "calendar": _Kind(ids.calendar, "Calendar", "next look", "/integrations/calendar/connections/{connection_id}"),
    "refund": _Kind(ids.refund, "Refund", "until", "/billing/refunds"),
    "grant": _Kind(ids.grant, "Sitter's access", "until", "/households/{household_id}/grants/{id}"),
}


class WorkflowOut(BaseModel):
    """The state of its row, which is what counts; `result` is where the outcome is, if it has a place."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    type: Literal[
        "reminder", "lost", "media", "invitation", "transfer", "grant", "calendar", "mail", "billing", "refund"
    ]
    status: str
    summary: str = Field(description="One sentence for people.")
    created_at: datetime
    updated_at: datetime
    result: str | None

    @classmethod
    def of_row(cls, row: asyncpg.Record) -> "WorkflowOut":
        """From a row of `models.queries.workflows`. It is a household's, or a person's own."""
        kind = _KINDS[row["type"]]
        when = f", {kind.until} {row['until'].astimezone(UTC):%Y-%m-%d %H:%M} UTC" if row["until"] else ""
        return cls(
            id=kind.workflow_id(row["household_id"] or row["user_id"], row["id"]),
            type=row["type"],
            status=row["state"],
            summary=f"{kind.name}: {row['state']}{when}.",
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            result=f"/api/v1{kind.result.format_map(row)}",
        )

    @classmethod
    def of_billing(cls, row: asyncpg.Record) -> "WorkflowOut":
        """From a row of `models.queries.workflows`."""
        until = f", paid until {row['until'].astimezone(UTC):%Y-%m-%d %H:%M} UTC" if row["until"] else ""
        return cls(
            id=ids.billing(row["user_id"]),
            type="billing",
            status=row["state"],
            summary=f"Subscription: {row['state']}{until}.",
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            result="/api/v1/billing/subscription",
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
