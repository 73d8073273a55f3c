"""/devices: phones and browsers that are told. Signing out of a session ends those it registered."""

from uuid import UUID

from fastapi import Response

from api import devices
from api.auth import CurrentUser
from api.deps import ServicesDep, UnitOfWork
from api.idempotency import Idempotent
from api.json_response import computed, listing
from api.routing import router as make_router
from api.schemas.devices import DeviceIn, DeviceOut, DevicesOut, VapidKeyOut
from core.errors import NotFound
from models.queries import devices as queries

router = make_router("/devices", "notifications")


@router.get("", operation_id="list_devices", response_model=DevicesOut)
async def list_devices(caller: CurrentUser, services: ServicesDep) -> Response:
    """Where push messages go."""
    return listing(await devices.show(services, caller))


@router.get("/vapid-key", operation_id="get_vapid_key", response_model=VapidKeyOut)
async def get_vapid_key(caller: CurrentUser, services: ServicesDep) -> Response:
    """The key browsers subscribe with. It never changes."""
    return computed({"public_key": services.vapid_key})


@router.post("", operation_id="register_device", status_code=201, response_model=DeviceOut)
async def register_device(
    body: DeviceIn, caller: CurrentUser, session: UnitOfWork, services: ServicesDep, _: Idempotent
) -> Response:
    """Be told on this device, too. Send it at every start of the app: a known device stays the same one. Of more than
    twenty the one heard of longest ago goes; a token that another account held is this account's from now on."""
    return computed(await devices.register(session, services, caller, body), 201)


@router.delete("/{device_id:uuid}", operation_id="delete_device", status_code=204)
async def delete_device(device_id: UUID, caller: CurrentUser, session: UnitOfWork) -> None:
    """Not on this one any more."""
    if not await queries.remove(session, caller.user_id, device_id):
        raise NotFound("no such device")
