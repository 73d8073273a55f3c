"""/households/{id}/invitations: asking people in; /invitations: their answer, and the page that the mail leads to."""

from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response

from api import households, invitations
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.households import ReadableHousehold, WritableHousehold
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import computed, document, listing
from api.routing import router as make_router
from api.schemas.households import HouseholdOut, InvitationAnswer, InvitationIn, InvitationOut, InvitationPage
from models.queries import invitations as queries

router = make_router("/households/{household_id}/invitations", "households")
answers = make_router("/invitations", "households")
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "`invalid_invitation`: used, expired, taken back, never ours, or sent to another address."}
}


@router.get("", operation_id="list_invitations", response_model=InvitationPage)
async def list_invitations(
    household: ReadableHousehold,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """Who was asked, the newest first, and what became of it."""
    page = paging.page(f"invitations:{household['id']}:{caller.user_id}")
    rows = await queries.page(services.db, household["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await invitations.present(services.cipher, row) for row in part.items], part)


@router.post(
    "",
    operation_id="create_invitation",
    status_code=201,
    response_model=InvitationOut,
    responses={409: {"description": "`already_invited`, `already_member` or `too_many_invitations`."}},
)
async def create_invitation(
    request: Request,
    body: InvitationIn,
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Ask somebody in by mail, whether or not they have an account. It stands for a week, for that address alone."""
    made = await invitations.create(session, services, client, caller, household, body)
    return document(request, await invitations.present(services.cipher, made), made["version"], status=201)


@router.post(
    "/{invitation_id}/resend",
    operation_id="resend_invitation",
    response_model=InvitationOut,
    responses={409: {"description": "`invitation_closed`, or `too_many_mails`."}},
)
async def resend_invitation(
    request: Request,
    invitation_id: UUID,
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Mail it once more. The link of the former mail ends, the week begins anew."""
    found = await invitations.resend(session, services, client, caller, household, invitation_id)
    return document(request, await invitations.present(services.cipher, found), found["version"])


@router.delete("/{invitation_id}", operation_id="revoke_invitation", status_code=204)
async def revoke_invitation(
    invitation_id: UUID,
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> None:
    """Take it back."""
    await invitations.revoke(session, services, client, caller, household, invitation_id)


@answers.post(
    "/accept",
    operation_id="accept_invitation",
    response_model=HouseholdOut,
    responses={**_REFUSED, 409: {"description": "`too_many_households` or `household_full`."}},
)
async def accept_invitation(
    body: InvitationAnswer, caller: CurrentUser, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> Response:
    """Join, with the token of the mailed link, signed in with the address it was sent to. Answers the household."""
    joined = await invitations.accept(session, services, client, caller, body.token)
    return computed(await households.present(services.cipher, joined))


@answers.post("/decline", operation_id="decline_invitation", status_code=204, responses={**_REFUSED})
async def decline_invitation(
    body: InvitationAnswer, caller: CurrentUser, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> None:
    """No, thank you. The household sees that you declined."""
    await invitations.decline(session, services, client, caller, body.token)
