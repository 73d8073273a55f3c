"""/integrations/calendar/connections: calendars that are kept in step, and the way to a consent and back."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from api import calendar_connections as connections
from api import calendar_consent, calendar_credentials, oauth
from api.auth import CurrentUser, limited, lock_account
from api.calendar_connections import Wish
from api.deps import ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import computed, document, listing
from api.round_trip import browser_of, sent
from api.routes.oauth_pages import CALENDAR, failure_page, wants_page
from api.routing import router as make_router
from api.schemas.auth import Token
from api.schemas.calendar_connections import (
    ConnectionIn,
    ConnectionOut,
    ConnectionsOut,
    ConnectionUpdate,
    ConsentOut,
    FinishIn,
    ReauthoriseIn,
)
from core.errors import PetfolioError
from integrations.calendar.protocol import ProviderName
from models.queries import calendar_connections as queries

router = make_router("/integrations/calendar", "calendar")

Answers = dict[int | str, dict[str, Any]]
_COOKIE: Final = "__Host-calendar"
_FULL: Final = "`too_many_connections`: disconnect one first. `no_household`: name one."
_OFF: Final = "`provider_off`: calendars of this provider cannot be connected here."
_CODE: Final = "`invalid_code`: used, too old, never ours, or begun in another session."
_NOT_ASKED: Final[Answers] = {409: {"description": "`nothing_to_confirm`."}}
_IS_THERE: Final[Answers] = {409: {"description": "`calendar_not_missing`."}}


@router.get("/connections", operation_id="list_calendar_connections", response_model=ConnectionsOut)
async def list_calendar_connections(caller: CurrentUser, services: ServicesDep) -> Response:
    """What you have connected, and how each stands."""
    rows = await queries.of_user(services.db, caller.user_id)
    return listing(await connections.present(services, caller.user_id, rows))


@router.post(
    "/connections",
    operation_id="create_calendar_connection",
    status_code=201,
    response_model=ConnectionOut,
    responses={
        200: {"model": ConsentOut, "description": "Google, Microsoft: open it in a browser."},
        404: {"description": f"{_OFF} Or there is no such household."},
        409: {"description": _FULL},
    },
)
async def create_calendar_connection(
    request: Request,
    body: ConnectionIn,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Connect an account: a calendar of its own is made there and kept in step. The same account again goes on where it
    was. A server is tried at once in the background: then the connection is `active`, or `needs_reauth`."""
    wish = Wish(body.household_id, body.policy)
    provider = ProviderName(body.provider)
    if provider is ProviderName.CALDAV:
        account, credential = await calendar_credentials.entered(services.outbound, body)
        made = await connections.keep(session, services, client, caller, account, credential, wish)
        return _created(request, made)
    calendar_credentials.nothing_entered(body)
    path = oauth.check_next(services.identity, body.next)
    start = calendar_consent.start_of(caller, provider, path, wish)
    calendar_consent.asked(services.consents, provider)
    await connections.check_wish(session, caller, wish)
    return computed(await calendar_consent.begin(session, services.identity, start))


@router.get(
    "/start",
    operation_id="start_calendar_consent",
    status_code=303,
    response_class=RedirectResponse,
    dependencies=[Depends(limited("anonymous"))],
    responses={303: {"description": "To the provider."}, 400: {"description": _CODE}, 404: {"description": _OFF}},
)
async def start_calendar_consent(
    request: Request, services: ServicesDep, ticket: Annotated[Token, Query()]
) -> Response:
    """Open this in a browser: the `authorize_url` of a connection that is begun. It comes back to `next` in the app,
    with `#code=…`, or with `#error=…`: `access_denied`, `consent_refused`, `calendar_scope_missing` (the calendar was
    not ticked), `provider_unavailable`, `provider_error`."""
    browser = browser_of(request, _COOKIE)
    departure = await calendar_consent.depart(services.identity, services.consents, ticket, browser)
    return sent(departure.url, _COOKIE, departure.browser)


# Not in the document that clients are made from: only providers send anybody here.
@router.get(
    "/callback/{provider}",
    operation_id="finish_calendar_consent",
    include_in_schema=False,
    dependencies=[Depends(limited("anonymous"))],
)
async def finish_calendar_consent(
    request: Request, provider: Literal["google", "microsoft"], services: ServicesDep
) -> Response:
    """Where a provider sends the browser back to."""
    arrival, browser = oauth.Arrival.of(request.query_params), browser_of(request, _COOKIE)
    name = ProviderName(provider)
    try:
        place = await calendar_consent.arrive(services.identity, services.consents, name, arrival, browser)
    except PetfolioError as error:
        if not wants_page(request):
            raise
        return failure_page(request, services.identity, error, CALENDAR)
    return RedirectResponse(place, 303)


@router.post(
    "/finish",
    operation_id="finish_calendar_connection",
    status_code=201,
    response_model=ConnectionOut,
    responses={400: {"description": _CODE}, 409: {"description": f"{_FULL} `other_account`: not the one before."}},
)
async def finish_calendar_connection(
    request: Request,
    body: FinishIn,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Connect what the browser came back with. In the session that began it."""
    account, credential, wish = await calendar_consent.finish(session, services.identity, caller, body.code)
    return _created(request, await connections.keep(session, services, client, caller, account, credential, wish))


@router.get("/connections/{connection_id}", operation_id="get_calendar_connection", response_model=ConnectionOut)
async def get_calendar_connection(
    request: Request, connection_id: UUID, caller: CurrentUser, services: ServicesDep
) -> Response:
    """One of them."""
    return _shown(request, await connections.show(services, caller, connection_id))


@router.patch("/connections/{connection_id}", operation_id="change_calendar_connection", response_model=ConnectionOut)
async def change_calendar_connection(
    request: Request,
    connection_id: UUID,
    body: ConnectionUpdate,
    if_match: IfMatch,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Another policy or household; what is not named stays."""
    found = await connections.lock(session, caller, connection_id)
    if_match.check(found.connection.version)
    return _shown(request, await connections.change(session, services, client, caller, found, body))


@router.delete("/connections/{connection_id}", operation_id="delete_calendar_connection", status_code=204)
async def delete_calendar_connection(
    connection_id: UUID,
    if_match: IfMatch,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    remote_copies: Annotated[Literal["keep", "remove"], Query(description="Of what we wrote there.")] = "keep",
) -> None:
    """Disconnect it: nothing is kept in step any more. Whoever connects the same account again within 30 days goes on
    where it was."""
    found = await connections.lock(session, caller, connection_id)
    if_match.check(found.connection.version)
    await connections.disconnect(session, services, client, caller, found, remote_copies)


@router.post(
    "/connections/{connection_id}/reauthorise",
    operation_id="reauthorise_calendar_connection",
    response_model=ConnectionOut | ConsentOut,
)
async def reauthorise_calendar_connection(
    request: Request,
    connection_id: UUID,
    body: ReauthoriseIn,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """A new consent, to be opened in a browser as at first; of a CalDAV server a new password, which answers the
    connection. What was changed meanwhile follows."""
    await lock_account(session, caller)
    found = await connections.lock(session, caller, connection_id)
    provider = ProviderName(found.connection.provider)
    if provider is ProviderName.CALDAV:
        credential = await calendar_credentials.with_password(services, found.connection, body)
        return _shown(request, await connections.renew(session, services, client, caller, found, credential))
    calendar_credentials.nothing_entered(body)
    path = oauth.check_next(services.identity, body.next)
    start = calendar_consent.start_of(caller, provider, path, Wish(connection_id=connection_id))
    calendar_consent.asked(services.consents, provider)
    return computed(await calendar_consent.begin(session, services.identity, start))


@router.post(
    "/connections/{connection_id}/pause", operation_id="pause_calendar_connection", response_model=ConnectionOut
)
async def pause_calendar_connection(
    request: Request,
    connection_id: UUID,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Nothing is sent or fetched until you resume it. Repeating it changes nothing."""
    found = await connections.lock(session, caller, connection_id)
    return _shown(request, await connections.pause(session, services, client, caller, found))


@router.post(
    "/connections/{connection_id}/resume", operation_id="resume_calendar_connection", response_model=ConnectionOut
)
async def resume_calendar_connection(
    request: Request,
    connection_id: UUID,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Go on: what changed meanwhile, on either side, follows. Repeating it changes nothing."""
    found = await connections.lock(session, caller, connection_id)
    return _shown(request, await connections.resume(session, services, client, caller, found))


@router.post(
    "/connections/{connection_id}/confirm-deletions",
    operation_id="confirm_calendar_deletions",
    response_model=ConnectionOut,
    responses=_NOT_ASKED,
)
async def confirm_calendar_deletions(
    request: Request,
    connection_id: UUID,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Much was gone from the calendar at once, and that is meant: delete it here, too."""
    found = await connections.lock(session, caller, connection_id)
    return _shown(request, await connections.confirm_deletions(session, services, client, caller, found))


@router.post(
    "/connections/{connection_id}/recreate-calendar",
    operation_id="recreate_calendar",
    response_model=ConnectionOut,
    responses=_IS_THERE,
)
async def recreate_calendar(
    request: Request,
    connection_id: UUID,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """The calendar itself was deleted: make another, with everything that belongs in it."""
    found = await connections.lock(session, caller, connection_id)
    return _shown(request, await connections.recreate_calendar(session, services, client, caller, found))


def _created(request: Request, made: dict[str, Any]) -> Response:
    location = f"/api/v1/integrations/calendar/connections/{made['id']}"
    return document(request, made, made["version"], status=201, location=location)


def _shown(request: Request, shown: dict[str, Any]) -> Response:
    return document(request, shown, shown["version"])
