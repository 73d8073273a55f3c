"""/workflows: long-running work, told from rows and, one at a time, from Temporal."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response

from api.access import Needed, require
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep
from api.json_response import listing
from api.routing import router as make_router
from api.schemas.workflows import WorkflowDetail, WorkflowOut, WorkflowPage
from core.crypto import Subject
from core.errors import NotFound
from models.queries import workflows as queries
from temporal import ids

router = make_router("/workflows", "workflows")


async def readable_workflow(
    request: Request, workflow_id: str, caller: CurrentUser, services: ServicesDep, needed: Needed
) -> WorkflowOut:
    """What the id names, if it is the caller's own or of a household of theirs. Raises `NotFound` for all else."""
    try:
        parsed = ids.parse(workflow_id)
    except ids.UnknownWorkflowId:
        raise NotFound("no such workflow") from None
    match parsed:
        case ids.WorkflowId(Subject("household", UUID() as household_id), kind, UUID() as row_id):
            row = await queries.one(services.db, caller.user_id, household_id, kind, row_id)
            if row is not None:
                await require(request, caller, row, needed)
            found = row and WorkflowOut.of_row(row)
        case ids.WorkflowId(Subject("user", caller.user_id), "mail", UUID() as delivery_id):
            row = await queries.mail(services.db, caller.user_id, delivery_id)
            found = row and WorkflowOut.of_mail(row)
        case ids.WorkflowId(Subject("user", caller.user_id), "calendar", UUID() as link_id):
            row = await queries.own(services.db, caller.user_id, "calendar", link_id)
            found = row and WorkflowOut.of_row(row)
        case ids.WorkflowId(Subject("user", caller.user_id), "refund", UUID() as refund_id):
            row = await queries.own(services.db, caller.user_id, "refund", refund_id)
            found = row and WorkflowOut.of_row(row)
        case ids.WorkflowId(Subject("user", caller.user_id), "billing", None):
            row = await queries.billing(services.db, caller.user_id)
            found = row and WorkflowOut.of_billing(row)
        case _:
            found = None
    # Only the one spelling that we make: `{HOUSEHOLD-IN-CAPITALS}` would be another id for Temporal.
    if found is None or found.id != workflow_id:
        raise NotFound("no such workflow")
    return found


ReadableWorkflow = Annotated[WorkflowOut, Depends(readable_workflow)]


@router.get("", operation_id="list_workflows", response_model=WorkflowPage)
async def list_workflows(caller: CurrentUser, services: ServicesDep, paging: PagingDep) -> Response:
    """Work of the caller and their households that goes on by itself, oldest first. The state is that of the rows."""
    page = paging.page(f"workflows:{caller.user_id}")
    rows = await queries.page(services.db, caller.user_id, page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([WorkflowOut.of_row(row).model_dump() for row in part.items], part)


@router.get("/{workflow_id:path}", operation_id="get_workflow")
async def get_workflow(workflow: ReadableWorkflow, services: ServicesDep) -> WorkflowDetail:
    """One of them, with Temporal's view of its latest run. Without Temporal the row alone, and `"live": false`."""
    return WorkflowDetail.of(workflow, await services.gateway.describe(workflow.id))
