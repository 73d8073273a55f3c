"""/households/{id}/grants: sitters and vets' links, as owners give them; /grants: what somebody was asked to look
after."""

from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response

from api import grants, sitting, vet_links
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.grants import ReadableGrant
from api.households import ReadableHousehold, WritableHousehold
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import document, listing
from api.routing import router as make_router
from api.schemas.grants import GrantAccessPage, GrantIn, GrantOut, GrantPage, GrantUpdate, MyGrantsOut
from models.queries import grants as queries
from models.queries import vet_links as uses

router = make_router("/households/{household_id}/grants", "grants")
mine = make_router("/grants", "grants")
Answers = dict[int | str, dict[str, Any]]
_TAKEN: Final[Answers] = {
    409: {"description": "`already_member`, `overlapping_grant`, or `too_many_grants`."},
}
_CLOSED: Final[Answers] = {409: {"description": "`grant_closed`, or `overlapping_grant`."}}
_ANSWER: Final[Answers] = {409: {"description": "`grant_closed`, `already_member`, or `overlapping_grant`."}}
_SVG: Final[Answers] = {
    200: {"content": {"image/svg+xml": {"schema": {"type": "string"}, "example": "<svg/>"}}},
    404: {"description": "There is no link, or it opens nothing any more."},
}


@router.get("", operation_id="list_grants", response_model=GrantPage)
async def list_grants(
    household: ReadableHousehold,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """Whom you let in, the newest first, and what became of it."""
    page = paging.page(f"grants:{household['id']}:{caller.user_id}")
    rows = await queries.page(services.db, household["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await grants.present(services, row) for row in part.items], part)


@router.post("", operation_id="create_grant", status_code=201, response_model=GrantOut, responses=_TAKEN)
async def create_grant(
    request: Request,
    body: GrantIn,
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Let a sitter or a vet in. An address is mailed whether or not there is an account with it, and the answer is the
    same; its owner has no access before they accept."""
    made = await grants.create(session, services, client, caller, household, body)
    location = f"/api/v1/households/{household.id}/grants/{made['id']}"
    return document(request, await grants.present(services, made), made["version"], status=201, location=location)


@router.get("/{grant_id}", operation_id="get_grant", response_model=GrantOut)
async def get_grant(request: Request, grant: ReadableGrant, services: ServicesDep) -> Response:
    """One of them."""
    return document(request, await grants.present(services, grant), grant["version"])


@router.patch("/{grant_id}", operation_id="change_grant", response_model=GrantOut, responses=_CLOSED)
async def change_grant(
    request: Request,
    grant_id: UUID,
    body: GrantUpdate,
    household: WritableHousehold,
    if_match: IfMatch,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Another end, or other rights. What has ended is not taken up again."""
    grant = await grants.lock(session, household, grant_id)
    if_match.check(grant.version)
    changed = await grants.change(session, services, client, caller, grant, body)
    return document(request, await grants.present(services, changed), changed["version"])


@router.delete("/{grant_id}", operation_id="revoke_grant", status_code=204)
async def revoke_grant(
    grant_id: UUID,
    household: WritableHousehold,
    if_match: IfMatch,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> None:
    """End it: nothing is open to them from their next request on. Repeating it changes nothing."""
    grant = await grants.lock(session, household, grant_id)
    if_match.check(grant.version)
    await grants.revoke(session, services, client, caller, grant)


@router.get("/{grant_id}/accesses", operation_id="list_grant_accesses", response_model=GrantAccessPage)
async def list_grant_accesses(
    grant: ReadableGrant,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """Every use of a vet's link, the newest first: when, from which network, with what."""
    page = paging.page(f"grant-accesses:{grant['id']}:{caller.user_id}")
    rows = await uses.accesses(services.db, grant["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([vet_links.present_access(row) for row in part.items], part)


@router.get("/{grant_id}/qr", operation_id="get_grant_qr", response_class=Response, responses=_SVG)
async def get_grant_qr(grant: ReadableGrant, services: ServicesDep) -> Response:
    """A vet's link as a QR code, to be shown at the desk."""
    return Response(await vet_links.qr_code(services, grant), media_type="image/svg+xml")


@mine.get("", operation_id="list_my_grants", response_model=MyGrantsOut)
async def list_my_grants(caller: CurrentUser, services: ServicesDep) -> Response:
    """What you look after now or soon, and what you are asked to."""
    return listing(await sitting.mine(services, caller))


@mine.post("/{grant_id}/accept", operation_id="accept_grant", status_code=204, responses=_ANSWER)
async def accept_grant(
    grant_id: UUID, caller: CurrentUser, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> None:
    """Yes. You see the animals, and are reminded of what is due, as soon as it begins."""
    await sitting.accept(session, services, client, caller, grant_id)


@mine.delete("/{grant_id}", operation_id="leave_grant", status_code=204)
async def leave_grant(
    grant_id: UUID, caller: CurrentUser, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> None:
    """No, or not any longer. The owners are told, and are reminded again."""
    await sitting.leave(session, services, client, caller, grant_id)
