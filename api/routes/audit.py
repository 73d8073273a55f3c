"""`/users/audit`: what was done to my account and data, by whom. Kept for ever, changed by nobody."""

from typing import Any

import asyncpg
from fastapi import Request, Response

from api.auth import Caller, CurrentUser
from api.deps import PagingDep, ServicesDep
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
    paging: PagingDep,
) -> Response:
    """Sign-ins and refusals, changes of the account, and every look an operator took, the newest first."""
    page = paging.page(f"audit:{caller.user_id}")
    rows = await audit.about(services.db, caller.user_id, page.after_id, page.rows)
    part, here = page.part_by_id(rows), services.identity.trace(client.address)
    return listing([_present(row, caller, here) for row in part.items], part)


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
