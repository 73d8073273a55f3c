"""What can be done with a household over HTTP: load and authorise."""

from typing import Annotated
from uuid import UUID

import asyncpg
from fastapi import Depends, Request

from api.access import Needed, require
from api.auth import CurrentUser
from api.deps import UnitOfWork
from api.services import services_of
from core.crypto import FieldCipher, SubjectErased
from core.errors import NotFound
from models.household import Household
from models.queries import households

NAME = "households.name_ct"


async def readable_household(
    request: Request, household_id: UUID, caller: CurrentUser, needed: Needed
) -> asyncpg.Record:
    """The household, for who may do this with it. 404 for who may not know of it, 403 for who may only see it."""
    found = await households.find(services_of(request).db, caller.user_id, household_id)
    if found is None:
        raise NotFound("no such household")
    await require(request, caller, found, needed)
    return found


async def writable_household(household_id: UUID, caller: CurrentUser, session: UnitOfWork, needed: Needed) -> Household:
    """The household's locked row, for who may do this with it; else as `readable_household`."""
    found = await households.lock(session, caller.user_id, household_id)
    if found is None:
        raise NotFound("no such household")
    household, access = found
    access.require(needed)
    return household


ReadableHousehold = Annotated[asyncpg.Record, Depends(readable_household)]
WritableHousehold = Annotated[Household, Depends(writable_household)]


async def name_of(cipher: FieldCipher, user_id: UUID, field: str, sealed: str | None) -> str | None:
    """A person's name as others see it; None for who gave none, and for who was forgotten."""
    try:
        return await cipher.open_optional(f"users.{field}_ct", user_id, sealed)
    except SubjectErased:
        return None
