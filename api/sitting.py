"""What somebody was asked to look after, as they see it: say yes, say no, stop."""

from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api import grants as giving
from api.auth import Caller
from api.households import NAME, name_of
from api.identity import Client
from api.mail import MailTemplate
from api.services import Services
from core.errors import NotFound
from domain import grant as rules
from domain.grant import OPEN
from models.household import Grant
from models.queries import grants, households, users
from models.queries.clock import database_now
from models.queries.grants import standing_of
from temporal import outbox

MOST: Final = 100
_SHOWN: Final = "id household_id actions valid_from valid_until".split()


async def mine(services: Services, caller: Caller) -> list[dict[str, Any]]:
    """The documents of `MyGrantOut`."""
    rows = await grants.of_sitter(services.db, caller.user_id, MOST)
    pets = await grants.pet_names(services.db, {pet_id for row in rows for pet_id in row["pet_ids"]})
    return [await _present(services, row, pets) for row in rows]


async def accept(session: AsyncSession, services: Services, client: Client, caller: Caller, grant_id: UUID) -> None:
    """Say yes. Repeating it changes nothing. Raises `NotFound`, `GrantClosed`, and `Conflict` where the caller belongs
    to the household, or has another grant for one of the pets at that time."""
    grant, now = await _lock(session, caller, grant_id), await database_now(session)
    rules.check_open(standing_of(grant), now)
    if grant.user_id is not None:
        return
    await giving.check_free(session, grant, user_id=caller.user_id)
    grant.user_id = caller.user_id
    await grants.touch(session, grant, now)
    await _answered(session, services, client, caller, grant, "accepted")


async def leave(session: AsyncSession, services: Services, client: Client, caller: Caller, grant_id: UUID) -> None:
    """Say no, or stop: from the commit on there is no access. Repeating it changes nothing. Raises `NotFound`."""
    grant, now = await _lock(session, caller, grant_id), await database_now(session)
    standing = standing_of(grant)
    if standing.state(now) not in OPEN:
        return
    grant.revoked_at, grant.declined = now, True
    await grants.touch(session, grant, now)
    await _answered(session, services, client, caller, grant, "left" if standing.gave_access(now) else "declined")


async def _lock(session: AsyncSession, caller: Caller, grant_id: UUID) -> Grant:
    """One that is the caller's, or was offered at their address; the household first, as everybody locks."""
    household_id = await grants.household_of_mine(session, caller.user_id, grant_id)
    if household_id is not None:
        await households.lock_all(session, (household_id,))
        grant = await grants.lock(session, household_id, grant_id)
        if grant is not None and grant.user_id in (None, caller.user_id):
            return grant
    raise NotFound("no such grant")


async def _answered(
    session: AsyncSession, services: Services, client: Client, caller: Caller, grant: Grant, answer: str
) -> None:
    await outbox.GRANT.ring(session, grant.household_id, grant.id)
    await giving.record(session, services, client, caller, answer, grant)
    user = await users.find(services.db.reads, caller.user_id)
    params: dict[str, object] = {
        "answer": answer,
        "sitter": user and await name_of(services.cipher, caller.user_id, "first_name", user["first_name_ct"]),
        "pets": await giving.pet_names(session, services, grant),
        "begins": grant.valid_from.isoformat(),
        "ends": grant.valid_until.isoformat(),
    }
    for owner in await households.owners(session, grant.household_id):
        await giving.tell(session, services, grant, owner, MailTemplate.GRANT_ANSWERED, params)


async def _present(services: Services, row: asyncpg.Record, pets: Any) -> dict[str, Any]:
    household_id = row["household_id"]
    return {
        **{field: row[field] for field in _SHOWN},
        "household_name": await services.cipher.open_optional(NAME, household_id, row["household_name_ct"]),
        "given_by": await name_of(services.cipher, row["granted_by"], "first_name", row["giver_name_ct"]),
        "state": standing_of(row).state(row["now"]),
        "pets": [
            {"id": pet["id"], "name": await services.cipher.open("pets.name_ct", pet["id"], pet["name_ct"])}
            for pet in pets
            if pet["id"] in row["pet_ids"] and pet["household_id"] == household_id
        ],
    }
