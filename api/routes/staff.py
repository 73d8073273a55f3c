"""/staff: operators of the platform. Everybody else gets 403, and every call is in the audit log."""

from uuid import UUID

from fastapi import Response

from api import staff, staff_billing
from api.access import CurrentStaff
from api.billing_services import BillingOn
from api.deps import ServicesDep, UnitOfWork
from api.identity import ClientDep
from api.json_response import computed
from api.routing import router as make_router
from api.schemas.staff import FindIn, HomesOut, HouseholdContentOut, LookIn, LookOut, LooksOut
from api.schemas.staff_billing import AccountBillingOut, ReplayedOut
from models.queries import break_glass

router = make_router("/staff", "staff")


@router.post("/find", operation_id="find_households", response_model=HomesOut)
async def find_households(body: FindIn, caller: CurrentStaff, client: ClientDep, services: ServicesDep) -> Response:
    """The households of somebody who asked for help, by their address."""
    return computed({"items": await staff.find(services, client, caller, body.email.canonical)})


@router.post(
    "/break-glass",
    operation_id="break_glass",
    status_code=201,
    response_model=LookOut,
    responses={409: {"description": "`already_reached`: you can see it already."}},
)
async def break_the_glass(
    body: LookIn, caller: CurrentStaff, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> Response:
    """Look into a household for 30 minutes, read-only. Its owners are told at once, with the reason."""
    opened = await staff.look(session, services, client, caller, body)
    return computed(LookOut.model_validate(opened, from_attributes=True).model_dump(), 201)


@router.get("/break-glass", operation_id="list_looks", response_model=LooksOut)
async def list_looks(caller: CurrentStaff, services: ServicesDep) -> Response:
    """Where I may look now."""
    return computed({"items": [dict(row) for row in await break_glass.open_ones(services.db, caller.user_id)]})


@router.delete("/break-glass/{look_id}", operation_id="end_look", status_code=204)
async def end_look(
    look_id: UUID, caller: CurrentStaff, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> None:
    """Close it again."""
    await staff.end(session, services, client, caller, look_id)


@router.get("/households/{household_id}", operation_id="get_household_content", response_model=HouseholdContentOut)
async def get_household_content(
    household_id: UUID, caller: CurrentStaff, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> Response:
    """What there is to look at, by id, while the glass is broken."""
    return computed(await staff.content(session, services, client, caller, household_id))


@router.get("/accounts/{account_id}/billing", operation_id="get_account_billing", response_model=AccountBillingOut)
async def get_account_billing(
    account_id: UUID, caller: CurrentStaff, client: ClientDep, _: BillingOn, services: ServicesDep
) -> Response:
    """An account's billing: what was read of Stripe, why its tier is what it is, its events, operations and money."""
    return computed(await staff_billing.show(services, client, caller, account_id))


@router.post("/accounts/{account_id}/billing/replay", operation_id="replay_account_billing", response_model=ReplayedOut)
async def replay_account_billing(
    account_id: UUID,
    caller: CurrentStaff,
    client: ClientDep,
    _: BillingOn,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Have the account read anew, and its events handled once more. Repeating it is harmless."""
    return computed(await staff_billing.replay(session, services, client, caller, account_id))
