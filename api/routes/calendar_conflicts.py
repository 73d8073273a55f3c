"""/integrations/calendar/conflicts: what lost where both sides had changed the same."""

from uuid import UUID

from fastapi import Response

from api import calendar_conflicts as conflicts
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.idempotency import Idempotent
from api.json_response import computed, listing
from api.routing import router as make_router
from api.schemas.calendar_conflicts import ConflictOut, ConflictPage
from models.queries import calendar_conflicts as queries

router = make_router("/integrations/calendar/conflicts", "calendar")


@router.get("", operation_id="list_calendar_conflicts", response_model=ConflictPage)
async def list_calendar_conflicts(caller: CurrentUser, services: ServicesDep, paging: PagingDep) -> Response:
    """Of all your calendars, the newest first."""
    page = paging.page(f"calendar-conflicts:{caller.user_id}")
    part = page.part_by_id(await queries.page(services.db, caller.user_id, page.after_id, page.rows))
    return listing([await conflicts.present(services, row) for row in part.items], part)


@router.post(
    "/{conflict_id}/restore",
    operation_id="restore_calendar_conflict",
    response_model=ConflictOut,
    responses={
        409: {
            "description": "`event_gone`: it cannot be written any more. `nothing_lost`: both texts are kept. "
            "`not_restorable`: the reminder's schedule decides."
        }
    },
)
async def restore_calendar_conflict(
    conflict_id: UUID,
    if_match: IfMatch,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Have the value that lost. It is an edit of yours like any other, and goes to your calendars; `If-Match` is of the
    appointment or reminder. Repeating it changes nothing."""
    return computed(await conflicts.restore(session, services, caller, conflict_id, if_match))
