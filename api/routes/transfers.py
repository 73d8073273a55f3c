"""/households/{id}/transfers: giving a pet away; /transfers: what is offered to the caller."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Body, Request, Response

from api import transfers
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.households import ReadableHousehold, WritableHousehold
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import document, listing
from api.routing import router as make_router
from api.schemas.households import OfferAcceptIn, OfferOut, OfferPage, TransferIn, TransferOut, TransferPage
from models.queries import transfers as queries

router = make_router("/households/{household_id}/transfers", "households")
offers = make_router("/transfers", "households")
_CLOSED: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "`transfer_closed`: answered, taken back or expired; `same_household`."}
}


@router.get("", operation_id="list_transfers", response_model=TransferPage)
async def list_transfers(
    household: ReadableHousehold,
    caller: CurrentUser,
    services: ServicesDep,
    paging: PagingDep,
) -> Response:
    """Pets that were offered to others, the newest offer first."""
    page = paging.page(f"transfers:{household['id']}:{caller.user_id}")
    rows = await queries.page(services.db, household["id"], page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await transfers.present(services.cipher, row) for row in part.items], part)


@router.post(
    "",
    operation_id="offer_transfer",
    status_code=201,
    response_model=TransferOut,
    responses={409: {"description": "`already_offered`, `pet_not_transferable` or `too_many_transfers`."}},
)
async def offer_transfer(
    request: Request,
    body: TransferIn,
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    _: Idempotent,
) -> Response:
    """Offer a pet to whoever has this address. The offer stands for two weeks; nothing moves before it is accepted."""
    made = await transfers.offer(session, services, client, caller, household, body)
    return document(request, await transfers.present(services.cipher, made), made["version"], status=201)


@router.delete(
    "/{transfer_id}",
    operation_id="cancel_transfer",
    status_code=204,
    responses={409: {"description": "`transfer_closed`"}},
)
async def cancel_transfer(
    transfer_id: UUID,
    household: WritableHousehold,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
) -> None:
    """Take an offer back that was not answered yet."""
    await transfers.cancel(session, services, client, caller, household, transfer_id)


@offers.get("", operation_id="list_offers", response_model=OfferPage)
async def list_offers(caller: CurrentUser, services: ServicesDep, paging: PagingDep) -> Response:
    """Pets that are offered to your address, and those that you accepted, the newest first."""
    page = paging.page(f"offers:{caller.user_id}")
    rows = await queries.offers(services.db, caller.user_id, page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await transfers.present_offer(services.cipher, row) for row in part.items], part)


@offers.post("/{transfer_id}/accept", operation_id="accept_transfer", response_model=OfferOut, responses={**_CLOSED})
async def accept_transfer(
    request: Request,
    transfer_id: UUID,
    caller: CurrentUser,
    client: ClientDep,
    session: UnitOfWork,
    services: ServicesDep,
    body: Annotated[OfferAcceptIn, Body()] = OfferAcceptIn(),
) -> Response:
    """Take the pet in. It has moved, with its diary and reminders, as soon as `moved_at` is set, usually at once."""
    accepted = await transfers.accept(session, services, client, caller, transfer_id, body.household_id)
    return document(request, await transfers.present_offer(services.cipher, accepted), accepted["version"])


@offers.post("/{transfer_id}/decline", operation_id="decline_transfer", status_code=204, responses={**_CLOSED})
async def decline_transfer(
    transfer_id: UUID, caller: CurrentUser, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> None:
    """No. The pet stays where it is."""
    await transfers.decline(session, services, client, caller, transfer_id)
