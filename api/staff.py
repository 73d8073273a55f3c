"""What operators of the platform can do: break the glass of one household, for minutes, with a reason that its owners
are told (identity-and-security.md §4.6). They change nothing, and whatever they read is in the owners' logs."""

from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import note_for_owners
from api.identity import Client
from api.mail import MailTemplate, Notice, notify
from api.schemas.staff import LookIn
from api.services import Services
from api.tokens import Caller
from api.trail import note
from core.crypto import Subject
from core.errors import Conflict, NotFound
from core.ids import new_id
from domain.notification import Category, Channel
from models.household import BreakGlass
from models.queries import break_glass

REASON: Final = "break_glass.reason_ct"


async def look(session: AsyncSession, services: Services, client: Client, caller: Caller, body: LookIn) -> BreakGlass:
    """Open a look, tell every owner why, and write it down. Raises `NotFound`,
    `Conflict`."""
    if not await break_glass.lock(session, body.household_id):
        raise NotFound("no such household")
    if await break_glass.reaches(session, caller.user_id, body.household_id):
        raise Conflict("You can see this household already.", code="already_reached")
    look_id, home = new_id(), Subject.household(body.household_id)
    opened = BreakGlass(
        id=look_id,
        staff_id=caller.user_id,
        household_id=body.household_id,
        reason_ct=await services.cipher.seal(home, REASON, look_id, body.reason),
    )
    await break_glass.add(session, opened)
    owners = await note_for_owners(
        session, services.identity, client, caller, body.household_id, "staff.break_glass", f"look:{look_id}"
    )
    for owner in owners:
        await notify(session, services.cipher, _notice(owner, opened, body.reason))
    return opened


async def end(session: AsyncSession, services: Services, client: Client, caller: Caller, look_id: UUID) -> None:
    """End a look before its time. Raises `NotFound`."""
    household_id = await break_glass.end(session, caller.user_id, look_id)
    if household_id is None:
        raise NotFound("no such look")
    what = f"look:{look_id}"
    await note_for_owners(session, services.identity, client, caller, household_id, "staff.look_ended", what)


async def find(services: Services, client: Client, caller: Caller, canonical: str) -> list[dict[str, Any]]:
    """The households of an address. The search is written down, also in the log of the person found."""
    rows = await break_glass.homes_of(services.db, services.identity.blind_index(canonical))
    async with services.db.sessions.begin() as session:
        subject = rows[0]["user_id"] if rows else None
        who, sid = caller.user_id, caller.session_id
        await note(session, services.identity, client, "staff.find", actor=who, subject=subject, sid=sid)
    return [dict(row) for row in rows]


async def content(
    session: AsyncSession, services: Services, client: Client, caller: Caller, household_id: UUID
) -> dict[str, Any]:
    """What a household holds, by id. Raises `NotFound` where this operator may not look now."""
    found: asyncpg.Record | None = await break_glass.content(session, caller.user_id, household_id)
    if found is None:
        raise NotFound("no such household, or no open look into it")
    await note_for_owners(session, services.identity, client, caller, household_id, "staff.look", "household")
    return {"id": household_id, **found}


def _notice(owner: UUID, opened: BreakGlass, reason: str) -> Notice:
    return Notice(
        user_id=owner,
        category=Category.SECURITY,
        template=MailTemplate.BREAK_GLASS,
        event_key=f"break_glass/{opened.id}",
        channels=(Channel.EMAIL, Channel.IN_APP),
        params={"reason": reason, "minutes": int(break_glass.LASTS.total_seconds() // 60)},
    )
