"""Giving a pet to another household: an owner offers, an owner of the other side accepts, a worker moves it."""

from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api import households as sharing
from api.auth import Caller
from api.identity import Client
from api.invitations import mail_language, seal_address
from api.schemas.households import TransferIn
from api.services import Services
from core.crypto import FieldCipher
from core.errors import Conflict, NotFound
from core.ids import new_id
from domain import household as rules
from domain.access import Right
from models.household import Household, PetTransfer, TransferState
from models.pet import Pet, PetStatus
from models.queries import households, limits, pets, transfers
from models.queries.clock import database_now
from temporal import outbox

EMAIL = "pet_transfers.email_ct"
_SHOWN = "id pet_id species state expires_at decided_at moved_at created_at updated_at version".split()


async def present(cipher: FieldCipher, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `TransferOut`: for the household that offers."""
    own = {field: row[field] for field in ("from_household_id", "offered_by", "mail_problem")}
    return {
        **await _shown(cipher, row),
        **own,
        "email": await cipher.open(EMAIL, row["id"], row["email_ct"]),
        "mailed": row["mailed"] > 0 and row["mail_problem"] is None,
    }


async def present_offer(cipher: FieldCipher, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `OfferOut`: for whoever it was offered to."""
    name = await sharing.name_of(cipher, row["offered_by"], "first_name", row["first_name_ct"])
    return {**await _shown(cipher, row), "offered_by_name": name, "to_household_id": row["to_household_id"]}


async def offer(
    session: AsyncSession, services: Services, client: Client, caller: Caller, household: Household, body: TransferIn
) -> asyncpg.Record:
    """A new offer, whose workflow mails it. The household is locked. Raises `NotFound` for a pet that is not of this
    household, `Conflict`, `TooManyRequests`."""
    found = await pets.lock(session, caller.user_id, body.pet_id)
    if found is None or found[0].household_id != household.id:
        raise NotFound("no such pet")
    _check_transferable(found[0])
    now = await database_now(session)
    await _check_free(session, household.id, body.pet_id)
    await services.identity.limiter.require("invitations", str(caller.user_id))
    transfer_id = new_id()
    transfer = PetTransfer(
        id=transfer_id,
        pet_id=body.pet_id,
        from_household_id=household.id,
        offered_by=caller.user_id,
        email_ct=await seal_address(services, household.id, EMAIL, transfer_id, body.email),
        email_bidx=services.identity.blind_index(body.email.canonical),
        locale=await mail_language(services, caller, body.locale),
        expires_at=now + rules.TRANSFER_LASTS,
    )
    session.add(transfer)
    await session.flush()
    await outbox.TRANSFER.ring(session, household.id, transfer_id)
    await _record(session, services, client, caller, "pet.offered", transfer, household.id)
    return await transfers.find_in(session, transfer_id)


async def cancel(
    session: AsyncSession, services: Services, client: Client, caller: Caller, household: Household, transfer_id: UUID
) -> None:
    """Take an offer back. The household is locked. Raises `NotFound`, `Conflict` once it was answered."""
    transfer = await transfers.lock(session, transfer_id)
    if transfer is None or transfer.from_household_id != household.id:
        raise NotFound("no such offer")
    if transfer.state == TransferState.CANCELLED:
        return
    if transfer.state != TransferState.OFFERED:
        raise Conflict("It was answered, or has expired.", code="transfer_closed")
    await _close(session, transfer, TransferState.CANCELLED)
    await _record(session, services, client, caller, "pet.offer_cancelled", transfer, household.id)


async def accept(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    transfer_id: UUID,
    household_id: UUID | None,
) -> asyncpg.Record:
    """Yes: on record on both sides, and a worker moves the pet. Raises `NotFound` for what was not offered to the
    caller and for a household that is not theirs, `NotPermitted` for one they do not own, `PlanLimit` for one that is
    full, `Conflict`."""
    to = household_id or await households.personal_household(services.db.reads, caller.user_id)
    transfer, pet = await _offered_to(session, caller, transfer_id, also=to)
    access = None if to is None else await households.access(session, caller.user_id, to)
    if to is None or access is None:
        raise NotFound("no such household")
    access.require(Right.ADD_PET)
    if to == transfer.from_household_id:
        raise Conflict("It lives there already.", code="same_household")
    _check_transferable(pet)
    await limits.check_room(session, to)
    transfer.to_household_id, transfer.decided_by = to, caller.user_id
    await _close(session, transfer, TransferState.ACCEPTED)
    for side in (transfer.from_household_id, to):
        await _record(session, services, client, caller, "pet.transfer_accepted", transfer, side)
    return await transfers.find_in(session, transfer_id)


async def decline(session: AsyncSession, services: Services, client: Client, caller: Caller, transfer_id: UUID) -> None:
    """No. Raises `NotFound` for what was not offered to the caller, or not any more."""
    transfer, _ = await _offered_to(session, caller, transfer_id)
    transfer.decided_by = caller.user_id
    await _close(session, transfer, TransferState.DECLINED)
    await _record(session, services, client, caller, "pet.offer_declined", transfer, transfer.from_household_id)


async def pet_gone(session: AsyncSession, pet: Pet) -> None:
    """A pet was removed, and its row is locked: nobody can take it any more."""
    for transfer in await transfers.unfinished_of(session, pet.id):
        await _close(session, transfer, TransferState.CANCELLED)


def _check_transferable(pet: Pet | None) -> None:
    if pet is None or pet.status != PetStatus.ACTIVE:
        raise Conflict("Only a pet that lives here, and is not lost, can move.", code="pet_not_transferable")


async def _shown(cipher: FieldCipher, row: asyncpg.Record) -> dict[str, Any]:
    name = await cipher.open_optional("pets.name_ct", row["pet_id"], row["pet_name_ct"])
    return {field: row[field] for field in _SHOWN} | {"pet_name": name}


async def _check_free(session: AsyncSession, household_id: UUID, pet_id: UUID) -> None:
    """One offer at a time for a pet, and not too many of a household. An expired one makes room."""
    standing = await transfers.open_ones(session, household_id)
    if any(transfer.pet_id == pet_id for transfer in standing) or await transfers.is_moving(session, pet_id):
        raise Conflict("It is offered already: take that offer back first.", code="already_offered")
    if len(standing) >= rules.MAX_OPEN_TRANSFERS:
        raise Conflict("There are too many open offers.", code="too_many_transfers")
    if (expired := await transfers.of_pet(session, pet_id)) is not None:
        await _close(session, expired, TransferState.EXPIRED)


async def _offered_to(
    session: AsyncSession, caller: Caller, transfer_id: UUID, *, also: UUID | None = None
) -> tuple[PetTransfer, Pet | None]:
    """An offer that the caller can still answer and its pet, locked after its household and `also` that one."""
    known = await transfers.find(session, transfer_id)
    if known is None:
        raise NotFound("no such offer")
    await households.lock_all(session, [side for side in (known.from_household_id, also) if side is not None])
    pet = await transfers.lock_pet(session, known.pet_id)
    transfer = await transfers.lock(session, transfer_id)
    now = await database_now(session)
    if transfer is None or not await transfers.is_to(session, transfer, caller.user_id):
        raise NotFound("no such offer")
    if transfer.state != TransferState.OFFERED or transfer.expires_at <= now:
        raise Conflict("It was answered, taken back, or has expired.", code="transfer_closed")
    return transfer, pet


async def _close(session: AsyncSession, transfer: PetTransfer, state: TransferState) -> None:
    await transfers.close(session, transfer, state, await database_now(session))
    await outbox.TRANSFER.ring(session, transfer.from_household_id, transfer.id)


async def _record(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    action: str,
    transfer: PetTransfer,
    household_id: UUID,
) -> None:
    await sharing.record(
        session,
        services,
        client,
        caller,
        action,
        household_id,
        subject=transfer.offered_by,
        object=f"pet:{transfer.pet_id}",
    )
    await sharing.say(session, household_id)
