"""/integrations/calendar: the merged view of what is planned."""

from typing import Annotated

from fastapi import Query, Response

from api import calendar
from api.auth import CurrentUser
from api.deps import ServicesDep
from api.json_response import computed
from api.routing import router as make_router
from api.schemas.calendar import CalendarOut
from api.schemas.instant import Instant
from core.errors import Conflict

router = make_router("/integrations/calendar", "calendar")


@router.get("/events", operation_id="list_calendar_events", response_model=CalendarOut)
async def list_calendar_events(
    caller: CurrentUser,
    services: ServicesDep,
    start: Annotated[Instant | None, Query(alias="from", description="Default: now.")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Default: 30 days after `from`.")] = None,
) -> Response:
    """The merged calendar of at most 366 days, in order: appointments that take place, and what reminders lead to."""
    return computed(await calendar.events(services, caller.user_id, start or calendar.now(), end))


@router.post("/sync", operation_id="sync_calendar", status_code=202)
async def sync_calendar(caller: CurrentUser) -> None:
    """Fetch and send changes now. 409 `no_connection` for who has connected no calendar."""
    raise Conflict("connect a calendar first", code="no_connection")
