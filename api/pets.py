"""What can be done with a pet over HTTP: load and authorise, present, create, change, remove."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from api import actions
from api.access import Needed, require, require_in
from api.auth import Caller, CurrentUser
from api.deps import UnitOfWork
from api.idempotency import Once
from api.read_only import refuse_changes
from api.schemas.pets import READ_ONLY, PetIn, PetUpdate
from api.services import Services, services_of
from core.crypto import FieldCipher, Subject
from core.errors import FieldProblem, Invalid, NotFound
from core.ids import new_id
from domain import microchip, weight
from domain.access import Access, Right
from domain.pet import check_birth_date
from domain.recurrence import ZONES
from models.pet import Pet
from models.queries import audit, households, limits, pets
from models.queries.clock import database_now

PLAIN = ("species", "breed", "is_mixed", "sex", "neutered", "date_of_birth", "dob_precision", "home_tzid")


async def readable_pet(request: Request, pet_id: UUID, caller: CurrentUser, needed: Needed) -> asyncpg.Record:
    """The pet, for who may do this with it. 404 for who may not know of it, 403 for who may only see it."""
    found = await pets.find(services_of(request).db, caller.user_id, pet_id)
    if found is None:
        raise NotFound("no such pet")
    await require(request, caller, found, needed)
    return found


async def writable_pet(pet_id: UUID, caller: CurrentUser, session: UnitOfWork, needed: Needed) -> Pet:
    """The pet's locked row, for who may do this with it; else as `readable_pet`."""
    found = await pets.lock(session, caller.user_id, pet_id)
    if found is None:
        raise NotFound("no such pet")
    pet, access = found
    access.require(needed)
    return pet


ReadablePet = Annotated[asyncpg.Record, Depends(readable_pet)]
WritablePet = Annotated[Pet, Depends(writable_pet)]


async def present(services: Services, pet: asyncpg.Record) -> dict[str, Any]:
    """The document of `PetOut`."""
    cipher = services.cipher
    chips = [await present_chip(cipher, row) for row in pet["chips"]]
    weighed = pet["grams"] is not None
    return {
        "id": pet["id"],
        "owner_id": pet["owners"][0],
        "owners": pet["owners"],
        "household_id": pet["household_id"],
        "name": await cipher.open("pets.name_ct", pet["id"], pet["name_ct"]),
        **{field: pet[field] for field in PLAIN},
        "weight_kg": weight.kilograms(pet["grams"]) if weighed else None,
        "weight": {field: pet[field] for field in ("grams", "entered_value", "entered_unit", "measured_at")}
        if weighed
        else None,
        "microchip_id": next((chip["code"] for chip in chips if chip["is_primary"]), None),
        "microchips": chips,
        "photo_media_id": pet["photo_id"],
        "profile_photo_url": services.media_urls.photo(pet) or pet["external_photo_url"],
        "status": pet["status"],
        "read_only": pet["read_only"],
        "created_at": pet["created_at"],
        "updated_at": pet["updated_at"],
        "version": pet["version"],
    }


async def create(session: AsyncSession, services: Services, caller: Caller, body: PetIn) -> asyncpg.Record:
    """A new pet in a household that the caller may add to, by default their personal one. Raises `NotFound` for a
    household they may not know of, `NotPermitted`, `PlanLimit` for one that is full."""
    household_id = await _home_for(services, caller, body.household_id)
    given = {"owner_id": caller.user_id, "household_id": body.household_id}
    refuse_changes(body, given, READ_ONLY)
    await households.lock_all(session, [household_id])  # two at once do not both take the last place
    await limits.check_room(session, household_id)
    pet = Pet(id=new_id(), household_id=household_id, name_ct="")
    session.add(pet)
    await _write(session, services, caller, pet, body)
    return await pets.find_in(session, caller.user_id, pet.id)


async def may_add(session: AsyncSession, caller: Caller, shown: Mapping[str, Any]) -> None:
    """Whether the caller may still add pets where that of this document is. Raises `NotFound`, `NotPermitted`."""
    await require_in(session, caller, UUID(shown["household_id"]), Right.ADD_PET)


OnceAdded = Annotated[None, Depends(Once(may_add))]


async def _home_for(services: Services, caller: Caller, asked: UUID | None) -> UUID:
    if asked is None:
        personal = await households.personal_household(services.db.reads, caller.user_id)
        if personal is None:
            raise NotFound("no household to add a pet to")
        return personal
    found = await households.find(services.db, caller.user_id, asked)
    if found is None:
        raise NotFound("no such household")
    Access.of(found["role"], found["actions"], read_only=False).require(Right.ADD_PET)
    return asked


async def change(
    session: AsyncSession, services: Services, caller: Caller, pet: Pet, body: PetUpdate
) -> asyncpg.Record:
    """Write the fields that are present. The row is locked, its precondition checked."""
    current = await present(services, await pets.find_in(session, caller.user_id, pet.id))
    refuse_changes(body, current, READ_ONLY)
    if "name" in body.model_fields_set and body.name is None:
        raise _invalid("name", "missing", "a pet has a name")
    pet.version += 1
    pet.updated_at = await database_now(session)
    unchanged = _echoed(current, body)
    home = pet.home_tzid
    await _write(session, services, caller, pet, body, skip=unchanged)
    if pet.home_tzid != home:
        await actions.home_changed(session, household_id=pet.household_id, pet_id=pet.id)
    return await pets.find_in(session, caller.user_id, pet.id)


async def _write(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    pet: Pet,
    body: PetIn | PetUpdate,
    skip: set[str] | frozenset[str] = frozenset(),
) -> None:
    given = body.model_fields_set - skip
    now = await database_now(session)
    if "name" in given and body.name is not None:
        subject = Subject.household(pet.household_id)
        pet.name_ct = await services.cipher.seal(subject, "pets.name_ct", pet.id, body.name)
    for field in given & set(PLAIN):
        setattr(pet, field, getattr(body, field))
    if "profile_photo_url" in given:
        pet.external_photo_url = _external(body.profile_photo_url)
    await _check(session, pet, now)
    await session.flush()
    if "weight_kg" in given and body.weight_kg is not None:
        await pets.add_weight(session, pet.id, weight.weigh(body.weight_kg, "kg"), now, caller.user_id)
    if "microchip_id" in given:
        chip = microchip.read(body.microchip_id) if body.microchip_id else None
        index = services.chip_index(chip.code) if chip else None
        if await pets.set_primary_chip(session, services.cipher, pet, chip, index):
            # What operators look for when somebody asks whose animal it is.
            await audit.record(
                session,
                action="microchip.disputed",
                outcome="review",
                actor=caller.user_id,
                subject=caller.user_id,
                object=f"pet:{pet.id}",
            )


async def _check(session: AsyncSession, pet: Pet, now: datetime) -> None:
    """Rules that need the household or the day it is where the pet lives."""
    if pet.home_tzid is not None and pet.home_tzid not in ZONES:
        raise _invalid("home_tzid", "unknown_zone", "not an IANA zone of this release")
    zone = pet.home_tzid or await pets.household_zone(session, pet.household_id)
    check_birth_date(pet.date_of_birth, now.astimezone(ZoneInfo(zone)).date())


async def present_chip(cipher: FieldCipher, row: tuple[Any, ...]) -> Mapping[str, Any]:
    """One of `microchips` of a pet."""
    row_id, code, entered, standard, prefix_kind, is_primary, disputed, implanted_on, site = row
    return {
        "id": row_id,
        "code": await cipher.open("microchips.code_ct", row_id, code),
        "code_as_entered": await cipher.open("microchips.code_as_entered_ct", row_id, entered),
        "standard": standard,
        "prefix_kind": prefix_kind,
        "is_primary": is_primary,
        "disputed": disputed,
        "implanted_on": implanted_on,
        "site": site,
    }


def _echoed(current: Mapping[str, Any], body: PetUpdate) -> set[str]:
    """Fields that say again what is known, a chip in whatever form: they add no weighing and replace no chip."""
    weight_kg, chip = body.weight_kg, body.microchip_id
    said = {
        "weight_kg": None if weight_kg is None else float(weight_kg),
        "microchip_id": microchip.read(chip).code if chip else None,
    }
    shown = {field for field, value in said.items() if value == current[field]}
    return shown | {"profile_photo_url"} if _is_shown(current, body.profile_photo_url) else shown


def _is_shown(current: Mapping[str, Any], url: str | None) -> bool:
    """Whether this is the address that a pet's photo has. One of ours is signed anew now and then: what is before the
    signature says whether it is the same."""
    shown = current["profile_photo_url"]
    if url is None or shown is None or current["photo_media_id"] is None:
        return bool(url == shown)
    return url.partition("?")[0] == str(shown).partition("?")[0]


def _external(url: str | None) -> str | None:
    """An address that is entered. Raises `Invalid` for one that is not https."""
    if url is not None and not url.startswith("https://"):
        raise _invalid("profile_photo_url", "string_pattern_mismatch", "an https address")
    return url


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(f"/{field}", code, detail),))
