"""What Google tells of the calendars that it keeps for us (calendar-sync.md §5.1): headers, and no body."""

from fastapi import Depends, Request, Response

from api import calendar_pushes
from api.auth import limited
from api.calendar_pushes import Message
from api.deps import ServicesDep
from api.routing import router as make_router
from core.errors import Unauthorized

router = make_router("/webhooks", "operations")


# Not in the document that clients are made from: only Google may call it.
@router.post(
    "/google-calendar",
    operation_id="receive_google_calendar_push",
    include_in_schema=False,
    dependencies=[Depends(limited("pushes"))],
)
async def receive_google_calendar_push(request: Request, services: ServicesDep) -> Response:
    """Something changed there. 401 for whoever does not know the channel's token; a channel that is none of ours any
    more is answered like others, so that Google does not try again."""
    said = request.headers
    message = Message.of(
        said.get("x-goog-channel-token"),
        said.get("x-goog-channel-id"),
        said.get("x-goog-resource-id", ""),
        idle=said.get("x-goog-resource-state") == "sync",
    )
    if not await calendar_pushes.receive_one(services.db, "google", message):
        raise Unauthorized("this is not a message that is accepted here")
    return Response(status_code=200)
