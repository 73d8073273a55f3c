"""/integrations/calendar: the merged view of what is planned."""

from typing import Annotated, Any, Final

from fastapi import Body, Query, Request, Response

from api import calendar, calendar_sync
from api.auth import CurrentUser
from api.deps import ServicesDep
from api.idempotency import key_of
from api.json_response import computed
from api.routing import router as make_router
from api.schemas.calendar import CalendarOut
from api.schemas.calendar_sync import SyncIn, SyncOut
from api.schemas.instant import Instant
from core.ids import new_id

router = make_router("/integrations/calendar", "calendar")
_TEXT: Final = {"schema": {"type": "string"}}
_KEY: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key asks for the same sync.",
            **_TEXT,
        }
    ]
}


@router.get("/events", operation_id="list_calendar_events", response_model=CalendarOut)
async def list_calendar_events(
    caller: CurrentUser,
    services: ServicesDep,
    start: Annotated[Instant | None, Query(alias="from", description="Default: now.")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Default: 30 days after `from`.")] = None,
) -> Response:
    """The merged calendar of at most 366 days, in order: appointments that take place, what reminders lead to, and what
    is in your connected calendars alone."""
    return computed(await calendar.events(services, caller.user_id, start or calendar.now(), end))


@router.post(
    "/sync",
    operation_id="sync_calendar",
    response_model=SyncOut,
    responses={
        202: {
            "model": SyncOut,
            "description": "Begun, and not done yet: `Location` is the first that is not.",
            "headers": {"Location": {"description": "Its workflow.", **_TEXT}},
        },
        404: {"description": "There is no such connection, or it is not yours."},
        409: {"description": "`no_connection`: none is connected, or all are paused. `not_in_step`: this one is."},
        503: {"description": "`not_accepted`: nobody has begun; it will happen nonetheless. Asking again is harmless."},
    },
    openapi_extra=_KEY,
)
async def sync_calendar(
    request: Request, caller: CurrentUser, services: ServicesDep, body: Annotated[SyncIn, Body()] = SyncIn()
) -> Response:
    """Fetch and send changes now, of all connected calendars or of one, and wait up to three seconds."""
    update_id = key_of(request) or str(new_id())
    outcomes = await calendar_sync.sync(services, caller, body.connection_id, update_id)
    open_ones = [each for each in outcomes if each.standing is None]
    answer = computed({"items": [each.present() for each in outcomes]}, 202 if open_ones else 200)
    if open_ones:
        answer.headers["Location"] = open_ones[0].place
    return answer
