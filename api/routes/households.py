"""/households: what they are, and who belongs to them."""

from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response

from api import households
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.households import ReadableHousehold, WritableHousehold
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import document, listing
from api.routing import router as make_router
from api.schemas.households import (
    HouseholdAuditPage,
    HouseholdIn,
    HouseholdOut,
    HouseholdPage,
    HouseholdUpdate,
    MemberPage,
    MemberUpdate,
)
from domain.access import Role
from models.queries import audit
from models.queries import households as queries

router = make_router("/households", "households")
_LAST_OWNER: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "`last_owner`: make another member an owner first, or delete the household."}
}


@router.get("", operation_id="list_households", response_model=HouseholdPage)
async def list_households(caller: CurrentUser, services: ServicesDep, paging: PagingDep) -> Response:
    """The households you belong to or look after animals of, in the order they were made."""
    page = paging.page(f"households:{caller.user_id}")
    rows = await queries.page(services.db, caller.user_id, page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await households.present(services.cipher, row) for row in part.items], part)


@router.post(
    "",
    operation_id="create_household",
    status_code=201,
    response_model=HouseholdOut,
    responses={409: {"description": "`too_many_households`: leave or delete one that you do not need."}},
)
async def create_household(
    request: Request,
    body: HouseholdIn,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """A household of which you are the owner."""
    made = await households.create(session, services, client, caller, body)
    shown = await households.present(services.cipher, made)
    return document(request, shown, made["version"], status=201, location=f"/api/v1/households/{made['id']}")


@router.get("/{household_id}", operation_id="get_household", response_model=HouseholdOut)
async def get_household(request: Request, household: ReadableHousehold, services: ServicesDep) -> Response:
    """One household."""
    return document(request, await households.present(services.cipher, household), household["version"])


@router.put("/{household_id}", operation_id="replace_household", response_model=HouseholdOut)
@router.patch("/{household_id}", operation_id="change_household", response_model=HouseholdOut)
async def change_household(
    request: Request,
    body: HouseholdUpdate,
    household: WritableHousehold,
    if_match: IfMatch,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Change the fields that are present. Reminders that follow the home follow a new time zone at once."""
    if_match.check(household.version)
    changed = await households.change(session, services, client, caller, household, body)
    return document(request, await households.present(services.cipher, changed), changed["version"])


@router.delete(
    "/{household_id}",
    operation_id="delete_household",
    status_code=204,
    responses={409: {"description": "`household_not_empty`: it has pets, or is to get some, or has other members."}},
)
async def delete_household(
    household: WritableHousehold,
    if_match: IfMatch,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> None:
    """End a household that has no pets and is yours alone. Its open invitations, grants and reminders end with it."""
    if_match.check(household.version)
    await households.delete(session, services, client, caller, household)


@router.get("/{household_id}/members", operation_id="list_members", response_model=MemberPage)
async def list_members(
    household: ReadableHousehold,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """Who belongs to it, in the order they came."""
    page = paging.page(f"members:{household['id']}:{caller.user_id}")
    rows = await queries.members(services.db, household["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await households.present_member(services.cipher, caller, row) for row in part.items], part)


@router.patch("/{household_id}/members/{user_id}", operation_id="change_member", status_code=204, responses=_LAST_OWNER)
async def change_member(
    user_id: UUID,
    body: MemberUpdate,
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> None:
    """Give a member another role. It counts from their next request on."""
    await households.change_member(session, services, client, caller, household.id, user_id, Role(body.role))


@router.delete(
    "/{household_id}/members/{user_id}", operation_id="remove_member", status_code=204, responses=_LAST_OWNER
)
async def remove_member(
    user_id: UUID,
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> None:
    """Remove a member. They reach nothing of the household from their next request on; their reminders stay, and tell
    the owners."""
    await households.remove_member(session, services, client, caller, household.id, user_id)


@router.post("/{household_id}/leave", operation_id="leave_household", status_code=204, responses=_LAST_OWNER)
async def leave_household(
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> None:
    """End your own membership. What you did and wrote stays with the household."""
    await households.remove_member(session, services, client, caller, household.id, caller.user_id)


@router.get("/{household_id}/audit", operation_id="list_household_audit", response_model=HouseholdAuditPage)
async def list_household_audit(
    household: ReadableHousehold,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """Who changed what about the household and its members, the newest first."""
    page = paging.page(f"household-audit:{household['id']}:{caller.user_id}")
    rows = await audit.of_household(services.db, household["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([households.present_entry(row) for row in part.items], part)
