"""/pets/{pet_id}/lost: the search for a pet; /p/{code}/sightings: what finders write to its people."""

from typing import Any, Final

from fastapi import Request, Response

from api import lost
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import document, listing
from api.pets import ReadablePet, WritablePet
from api.routing import router as make_router
from api.schemas.lost import EndIn, SearchIn, SearchOut, SightingIn, SightingPage
from core.errors import NotFound
from models.queries import lost as queries

router = make_router("/pets", "lost pets")
public = make_router("/p", "lost pets")
_NOT_LOST: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "`not_lost`: nobody is looking for this pet now."}
}


@router.get("/{pet_id}/lost", operation_id="get_search", response_model=SearchOut)
async def get_search(request: Request, pet: ReadablePet, session: UnitOfWork, services: ServicesDep) -> Response:
    """The last search for this pet. 404 where there was none."""
    case = await queries.latest_case(session, pet["id"], pet["household_id"])
    if case is None:
        raise NotFound("nobody has looked for this pet")
    return document(request, await lost.present(services, case), case.version)


@router.post(
    "/{pet_id}/lost",
    operation_id="open_search",
    status_code=201,
    response_model=SearchOut,
    responses={409: {"description": "`already_lost`, `not_searchable`"}},
)
async def open_search(
    request: Request,
    body: SearchIn,
    pet: WritablePet,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """The pet is missing: the page behind its tag says so, and every member is told at once."""
    case = await lost.begin(session, services, client, caller, pet, body)
    location = f"/api/v1/pets/{pet.id}/lost"
    return document(request, await lost.present(services, case), case.version, status=201, location=location)


@router.patch("/{pet_id}/lost", operation_id="change_search", response_model=SearchOut, responses=_NOT_LOST)
async def change_search(
    request: Request,
    body: SearchIn,
    pet: WritablePet,
    if_match: IfMatch,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Change what the page says while the pet is missing; absent fields keep their value."""
    if_match.check((await lost.running_case(session, pet)).version)
    case = await lost.change(session, services, client, caller, pet, body)
    return document(request, await lost.present(services, case), case.version)


@router.post("/{pet_id}/lost/confirm", operation_id="confirm_search", response_model=SearchOut, responses=_NOT_LOST)
async def confirm_search(
    request: Request,
    pet: WritablePet,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """It is still missing. Without such an answer the search ends after 30 days."""
    case = await lost.confirm(session, services, client, caller, pet)
    return document(request, await lost.present(services, case), case.version)


@router.post("/{pet_id}/lost/close", operation_id="close_search", response_model=SearchOut, responses=_NOT_LOST)
async def close_search(
    request: Request,
    body: EndIn,
    pet: WritablePet,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """The search is over; the page shows again what the tag says. What was written is wiped 30 days later."""
    case = await lost.end(session, services, client, caller, pet, body)
    return document(request, await lost.present(services, case), case.version)


@router.get("/{pet_id}/sightings", operation_id="list_sightings", response_model=SightingPage)
async def list_sightings(
    pet: ReadablePet,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """What finders wrote, the newest first."""
    page = paging.page(f"sightings:{pet['id']}:{caller.user_id}")
    rows = await queries.sightings(services.db, pet["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await lost.sighting(services, row) for row in part.items], part)


@public.post("/{code}/sightings", operation_id="report_sighting", status_code=204)
async def report_sighting(
    code: str, body: SightingIn, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> None:
    """Tell the owners something about their pet. They learn what is written here and nothing else; so do you."""
    await lost.report(session, services, client, code, body)
