"""While nobody is at home and nobody stands in (product.md §4.5): absences of a household."""

from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from api import households as sharing
from api.auth import Caller
from api.deps import ServicesDep
from api.households import ReadableHousehold
from api.identity import Client
from api.schemas.absences import AbsenceIn, AbsenceUpdate
from api.services import Services
from core.errors import Conflict, NotFound
from core.ids import new_id
from domain import absence as rules
from domain.absence import AbsenceState
from models.absence import Absence
from models.household import Household
from models.queries import absences, grants
from models.queries.absences import span_of
from models.queries.clock import database_now
from temporal import outbox

_SHOWN: Final = "id household_id starts_at ends_at pet_ids categories ended_at created_at updated_at version".split()


async def readable_absence(absence_id: UUID, household: ReadableHousehold, services: ServicesDep) -> asyncpg.Record:
    """An absence of the household, for who belongs to it. 404 for what it does not have."""
    found = await absences.find(services.db, household["id"], absence_id)
    if found is None:
        raise NotFound("no such absence")
    return found


ReadableAbsence = Annotated[asyncpg.Record, Depends(readable_absence)]


def present(row: asyncpg.Record) -> dict[str, Any]:
    """The document of `AbsenceOut`."""
    return {field: row[field] for field in _SHOWN} | {"state": span_of(row).state(row["now"])}


async def create(
    session: AsyncSession, services: Services, client: Client, caller: Caller, household: Household, body: AbsenceIn
) -> asyncpg.Record:
    """Declare one. The household is locked. Raises `Invalid`, `NotFound` for a pet it does not have, `Conflict`.

    Nobody is rung: what is due looks for absences when its time comes.
    """
    now = await database_now(session)
    starts_at = max(body.starts_at or now, now)
    rules.check_span(starts_at, body.ends_at, now)
    pet_ids = body.pet_ids
    if pet_ids and len(await grants.pets_in(session, household.id, pet_ids)) < len(pet_ids):
        raise NotFound("no such pet")
    if await absences.open_ones(session, household.id) >= rules.MOST:
        raise Conflict(f"There are {rules.MOST} already: end one that is not needed.", code="too_many_absences")
    absence = Absence(
        id=new_id(),
        household_id=household.id,
        pet_ids=pet_ids,
        categories=sorted(body.categories or rules.ROUTINE),
        starts_at=starts_at,
        ends_at=body.ends_at,
    )
    session.add(absence)
    await session.flush()
    await _record(session, services, client, caller, "declared", absence)
    return await absences.find_in(session, absence.id)


async def change(
    session: AsyncSession, services: Services, client: Client, caller: Caller, absence: Absence, body: AbsenceUpdate
) -> asyncpg.Record:
    """Another end. The household and the absence are locked. Raises `AbsenceOver`, `Invalid`."""
    now = await database_now(session)
    rules.check_not_over(span_of(absence), now)
    if body.ends_at != absence.ends_at:
        rules.check_span(absence.starts_at, body.ends_at, now)
        absence.ends_at = body.ends_at
        await absences.touch(session, absence, now)
        await _wake(session, absence)
        await _record(session, services, client, caller, "changed", absence)
    return await absences.find_in(session, absence.id)


async def end(session: AsyncSession, services: Services, client: Client, caller: Caller, absence: Absence) -> None:
    """They are back, or do not leave. The household and the absence are locked. What is over already stays as it is."""
    now = await database_now(session)
    if span_of(absence).state(now) is AbsenceState.OVER:
        return
    absence.ended_at = now
    await absences.touch(session, absence, now)
    await _wake(session, absence)
    await _record(session, services, client, caller, "ended", absence)


async def lock(session: AsyncSession, household: Household, absence_id: UUID) -> Absence:
    """One of a household that is locked. Raises `NotFound`."""
    found = await absences.lock(session, household.id, absence_id)
    if found is None:
        raise NotFound("no such absence")
    return found


async def _wake(session: AsyncSession, absence: Absence) -> None:
    """What waits for its end looks for it anew."""
    for reminder_id in await absences.wake(session, absence.id):
        await outbox.ring_reminder(session, absence.household_id, reminder_id)


async def _record(
    session: AsyncSession, services: Services, client: Client, caller: Caller, what: str, absence: Absence
) -> None:
    """An entry in the log of the household, whose screens show other things now."""
    household_id = absence.household_id
    await sharing.record(
        session, services, client, caller, f"absence.{what}", household_id, object=f"absence:{absence.id}"
    )
    await sharing.say(session, household_id)
