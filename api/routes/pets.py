"""/pets"""

from fastapi import Request, Response

from api import actions, appointments, lost, media, pets, transfers
from api.auth import CurrentUser
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.json_response import document, listing
from api.pets import OnceAdded, ReadablePet, WritablePet
from api.routing import router as make_router
from api.schemas.pets import PetIn, PetOut, PetPage, PetUpdate
from models.queries import pets as queries

router = make_router("/pets", "pets")


@router.get("", operation_id="list_pets", response_model=PetPage)
async def list_pets(caller: CurrentUser, services: ServicesDep, paging: PagingDep) -> Response:
    """All pets of the caller's households, in the order they were added."""
    page = paging.page(f"pets:{caller.user_id}")
    rows = await queries.page(services.db, caller.user_id, page.after_id, page.rows)
    part = page.part_by_id(rows)
    return listing([await pets.present(services, row) for row in part.items], part)


@router.post("", operation_id="create_pet", status_code=201, response_model=PetOut)
async def create_pet(
    request: Request, body: PetIn, caller: CurrentUser, session: UnitOfWork, services: ServicesDep, _: OnceAdded
) -> Response:
    """Add a pet to the caller's household."""
    pet = await pets.create(session, services, caller, body)
    location = f"/api/v1/pets/{pet['id']}"
    return document(request, await pets.present(services, pet), pet["version"], status=201, location=location)


@router.get("/{pet_id}", operation_id="get_pet", response_model=PetOut)
async def get_pet(request: Request, pet: ReadablePet, services: ServicesDep) -> Response:
    """One pet."""
    return document(request, await pets.present(services, pet), pet["version"])


@router.put("/{pet_id}", operation_id="replace_pet", response_model=PetOut)
@router.patch("/{pet_id}", operation_id="change_pet", response_model=PetOut)
async def change_pet(
    request: Request,
    body: PetUpdate,
    pet: WritablePet,
    if_match: IfMatch,
    caller: CurrentUser,
    session: UnitOfWork,
    services: ServicesDep,
) -> Response:
    """Change the fields that are present; absent ones keep their value."""
    if_match.check(pet.version)
    changed = await pets.change(session, services, caller, pet, body)
    return document(request, await pets.present(services, changed), changed["version"])


@router.delete("/{pet_id}", operation_id="delete_pet", status_code=204)
async def delete_pet(pet: WritablePet, if_match: IfMatch, session: UnitOfWork) -> None:
    """Remove a pet, end its reminders, call its appointments off, and take back what is offered of it."""
    if_match.check(pet.version)
    await queries.retire(session, pet)
    await session.flush()
    await actions.pet_gone(session, pet.id)
    await appointments.pet_gone(session, pet.id)
    await lost.pet_gone(session, pet)
    await transfers.pet_gone(session, pet)
    await media.pet_gone(session, pet.id)
