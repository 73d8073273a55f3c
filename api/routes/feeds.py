"""/integrations/calendar/feeds: secret addresses for calendar programs; /feeds: what they read there."""

from typing import Final
from uuid import UUID

from fastapi import Request, Response

from api import feeds
from api.auth import CurrentUser
from api.deps import ServicesDep, UnitOfWork
from api.etag import knows
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import computed, listing
from api.routing import router as make_router
from api.schemas.feeds import FeedIn, FeedOut, FeedsOut
from models.queries import feeds as queries

router = make_router("/integrations/calendar/feeds", "calendar")
public = make_router("/feeds", "calendar")
_ICS: Final = "text/calendar; charset=utf-8"
# The address is the key: no shared cache keeps the answer, no search engine lists it.
_PRIVATE: Final = {"Cache-Control": "private, max-age=900", "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}


@router.get("", operation_id="list_calendar_feeds", response_model=FeedsOut)
async def list_calendar_feeds(caller: CurrentUser, services: ServicesDep) -> Response:
    """The feeds you have given out, and when a program last read each (to the hour)."""
    return listing(await feeds.show(services, caller))


@router.post(
    "",
    operation_id="create_calendar_feed",
    status_code=201,
    response_model=FeedOut,
    responses={
        404: {"description": "There is no such pet, or it is not yours."},
        409: {"description": "`too_many_feeds`: delete one that is not in use."},
    },
)
async def create_calendar_feed(
    body: FeedIn, caller: CurrentUser, session: UnitOfWork, services: ServicesDep, _: Idempotent
) -> Response:
    """A feed with an address that nobody can guess."""
    return computed(await feeds.create(session, services, caller, body.pet_id), 201)


@router.delete("/{feed_id}", operation_id="delete_calendar_feed", status_code=204)
async def delete_calendar_feed(feed_id: UUID, caller: CurrentUser, session: UnitOfWork) -> None:
    """Close the address for good, from the next request on."""
    await feeds.revoke(session, caller, feed_id)


@public.get(
    "/{token}.ics",
    operation_id="read_calendar_feed",
    response_class=Response,
    responses={
        200: {"content": {"text/calendar": {"schema": {"type": "string"}, "example": "BEGIN:VCALENDAR"}}},
        304: {"description": "Nothing has changed."},
        404: {"description": "Not a feed, or not any more."},
    },
)
async def read_calendar_feed(
    token: str, request: Request, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> Response:
    """Reminders as iCalendar (RFC 5545), for programs that subscribe to an address."""
    found, request.state.rate_limit = await feeds.admit(services, client, token)
    await queries.was_read(session, found["id"])
    text, tag = await feeds.calendar(services, found)
    headers = _PRIVATE | {"ETag": tag}
    if knows(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type=_ICS)
