"""Answers of `/users/audit`."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class AuditEntryOut(BaseModel):
    """Something that was done to my account or data. `actor` is `you`, a pseudonymous id, or `anonymous`; `from_here`:
    from the network address that asks now; `session_id` is that of `GET /auth/sessions`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000040",
                    "at": "2026-11-23T08:00:00Z",
                    "action": "auth.login",
                    "outcome": "refused",
                    "actor": "anonymous",
                    "object": None,
                    "session_id": None,
                    "from_here": False,
                }
            ]
        }
    )

    id: UUID
    at: datetime
    action: str
    outcome: str
    actor: str
    object: str | None
    session_id: UUID | None
    from_here: bool


class AuditPage(BaseModel):
    """The newest first."""

    items: list[AuditEntryOut]
    next_cursor: str | None
