"""`/users/consents`: what I agreed to. Withdrawing is one call, as easy as granting, and stops the next send."""

from fastapi import Response

from api import consents
from api.auth import CurrentUser
from api.deps import ServicesDep, UnitOfWork
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import computed, listing
from api.routing import router as make_router
from api.schemas.consents import ConsentIn, ConsentOut, ConsentsOut

router = make_router("/users", "users")


@router.get("/consents", operation_id="list_consents", response_model=ConsentsOut)
async def list_consents(caller: CurrentUser, client: ClientDep, services: ServicesDep) -> Response:
    """Every purpose, with the words to show before asking. `Sec-GPC: 1` counts as an opt-out of sale and sharing."""
    return listing(await consents.show(services.db.reads, client, caller))


@router.post(
    "/consents",
    operation_id="record_consent",
    response_model=ConsentOut,
    responses={
        409: {"description": "`wording_outdated`: show the present words. `gpc_signal`: your browser says no to this."}
    },
)
async def record_consent(
    body: ConsentIn, caller: CurrentUser, client: ClientDep, session: UnitOfWork, services: ServicesDep, _: Idempotent
) -> Response:
    """Grant or withdraw. Events are kept for ever; the last one of a purpose is its state."""
    return computed(await consents.record(session, services.identity, client, caller, body))
