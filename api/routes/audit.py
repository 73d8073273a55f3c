"""`/users/audit`: what was done to my account and data, by whom. Kept for ever, changed by nobody."""

from typing import Any
from uuid import UUID

import asyncpg
from fastapi import Request, Response

from api.auth import Caller, CurrentUser
from api.cursor import CursorText, Limit
from api.deps import ServicesDep
from api.identity import ClientDep
from api.json_response import listing
from api.routing import router as make_router
from api.schemas.audit import AuditPage
from models.queries import audit

router = make_router("/users", "users")


@router.get("/audit", operation_id="list_audit_entries", response_model=AuditPage)
async def list_audit_entries(
    request: Request,
    caller: CurrentUser,
    client: ClientDep,
    services: ServicesDep,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Sign-ins and refusals, changes of the account, and every look an operator took, the newest first."""
    binding = f"audit:{caller.user_id}"
    page = services.cursors.page(limit, cursor, binding)
    before = UUID(page.after[0]) if page.after else None
    rows = await audit.about(services.db, caller.user_id, before, limit + 1)
    rows, following, headers = services.cursors.answer(request, binding, limit, rows, lambda row: (str(row["id"]),))
    here = services.identity.trace(client.address)
    return listing([_present(row, caller, here) for row in rows], following, headers)


def _present(row: asyncpg.Record, caller: Caller, here: bytes) -> dict[str, Any]:
    return {
        "id": row["id"],
        "at": row["ts"],
        "action": row["action"],
        "outcome": row["outcome"],
        "actor": "you" if row["actor"] == f"user:{caller.user_id}" else row["actor"],
        "object": row["object"],
        "session_id": row["sid"],
        "from_here": row["ip_hmac"] == here,
    }
