"""What can be done with a household over HTTP: load and authorise, present, create, change; and who belongs to it."""

from collections.abc import Iterable
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from api import actions, appointments, calendar_connections
from api.access import Needed, require
from api.auth import Caller, CurrentUser
from api.deps import UnitOfWork
from api.identity import Client
from api.read_only import refuse_changes
from api.schemas.households import READ_ONLY, HouseholdIn, HouseholdUpdate
from api.services import Services, services_of
from api.trail import note
from core import live
from core.crypto import FieldCipher, Subject, SubjectErased
from core.errors import Conflict, FieldProblem, Invalid, NotFound
from core.ids import new_id
from domain import household as rules
from domain.access import Role
from models.household import Household, InvitationState, TransferState
from models.queries import grants, households, invitations, lost, reminder_scopes, transfers, users
from models.queries.clock import database_now
from temporal import outbox

NAME = "households.name_ct"
PLAIN = ("home_tzid", "country", "currency")
_NAMES = ("first_name", "last_name")


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


async def present(cipher: FieldCipher, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `HouseholdOut`."""
    shown = ("id", *PLAIN, "role", "created_at", "updated_at", "version")
    return {field: row[field] for field in shown} | {
        "name": await cipher.open_optional(NAME, row["id"], row["name_ct"])
    }


async def present_member(cipher: FieldCipher, caller: Caller, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `MemberOut`."""
    names = {field: await name_of(cipher, row["user_id"], field, row[f"{field}_ct"]) for field in _NAMES}
    shown = {field: row[field] for field in ("user_id", "role", "joined_at")}
    return {**shown, **names, "is_me": row["user_id"] == caller.user_id}


async def name_of(cipher: FieldCipher, user_id: UUID, field: str, sealed: str | None) -> str | None:
    """A person's name as others see it; None for who gave none, and for who was forgotten."""
    try:
        return await cipher.open_optional(f"users.{field}_ct", user_id, sealed)
    except SubjectErased:
        return None


def present_entry(row: asyncpg.Record) -> dict[str, Any]:
    """The document of `HouseholdAuditOut`."""
    shown = ("id", "action", "outcome", "actor", "subject", "object")
    return {field: row[field] for field in shown} | {"at": row["ts"]}


async def create(
    session: AsyncSession, services: Services, client: Client, caller: Caller, body: HouseholdIn
) -> asyncpg.Record:
    """A new household with the caller as its owner. Raises `Conflict` for one too many."""
    user = await users.lock(session, caller.user_id)
    household_id = new_id()
    counts = await households.counts(session, household_id, caller.user_id)
    if user is None or counts.households >= rules.MAX_HOUSEHOLDS:
        raise Conflict(f"You belong to {rules.MAX_HOUSEHOLDS} households already.", code="too_many_households")
    await services.keys.create(Subject.household(household_id))
    name_ct = await services.cipher.seal(Subject.household(household_id), NAME, household_id, body.name)
    household = Household(
        id=household_id,
        name_ct=name_ct,
        home_tzid=body.home_tzid or user.timezone,
        country=body.country,
        currency=body.currency,
    )
    await households.create(session, household, caller.user_id)
    await record(session, services, client, caller, "household.created", household_id)
    return await households.find_in(session, caller.user_id, household_id)


async def change(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    household: Household,
    body: HouseholdUpdate,
) -> asyncpg.Record:
    """Write the fields that are present. Another zone moves the reminders that follow the home."""
    current = await present(services.cipher, await households.find_in(session, caller.user_id, household.id))
    refuse_changes(body, current, READ_ONLY)
    given = body.model_fields_set - set(READ_ONLY)
    for field in given & {"home_tzid", "currency"}:
        if getattr(body, field) is None:
            raise Invalid("it cannot be empty", errors=(FieldProblem(f"/{field}", "missing", "it cannot be empty"),))
    if all(getattr(body, field) == current[field] for field in given):
        return await households.find_in(session, caller.user_id, household.id)
    subject, moved = Subject.household(household.id), "home_tzid" in given and body.home_tzid != household.home_tzid
    for field in given & set(PLAIN):
        setattr(household, field, getattr(body, field))
    if "name" in given:
        household.name_ct = await services.cipher.seal_optional(subject, NAME, household.id, body.name)
    household.version += 1
    household.updated_at = await database_now(session)
    await session.flush()
    if moved:
        await actions.home_changed(session, household_id=household.id)
    await record(session, services, client, caller, "household.changed", household.id)
    await say(session, household.id)
    return await households.find_in(session, caller.user_id, household.id)


async def delete(
    session: AsyncSession, services: Services, client: Client, caller: Caller, household: Household
) -> None:
    """End a household that is the caller's alone, with what is open of it. The household is locked; what it was stays
    on record. Raises `NotEmpty`."""
    if set(await households.roles(session, household.id)) != {caller.user_id}:
        raise rules.NotEmpty("Others belong to it: remove them first.")
    if not await households.close(session, household.id):
        raise rules.NotEmpty("Pets live in it or are on their way: remove them, or give them to another household.")
    await actions.household_gone(session, household.id)
    await appointments.household_gone(session, household.id)
    await _take_back(session, household.id, caller.user_id)
    for grant_id in await grants.revoke_all(session, household.id):
        await outbox.GRANT.ring(session, household.id, grant_id)
    await households.part(session, household.id, caller.user_id)
    await calendar_connections.left_household(session, caller.user_id, household.id)
    await record(session, services, client, caller, "household.deleted", household.id)
    await say(session, household.id, also=(caller.user_id,))


async def change_member(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    household_id: UUID,
    user_id: UUID,
    role: Role,
) -> None:
    """Another role. The household is locked. Raises `NotFound` for who does not belong to it, and `LastOwner`."""
    present_role = await _role_in(session, household_id, user_id)
    if role is present_role:
        return
    if role is not Role.OWNER:
        await _leaves_owners(session, household_id, user_id)
        await _take_back(session, household_id, user_id)
    await households.set_role(session, household_id, user_id, role)
    await record(session, services, client, caller, "household.role_changed", household_id, subject=user_id)
    await say(session, household_id)


async def remove_member(
    session: AsyncSession, services: Services, client: Client, caller: Caller, household_id: UUID, user_id: UUID
) -> None:
    """End a membership, one's own or another's: from the commit on they reach nothing here, not by an older grant
    either, what they made goes on to the owners, what they offered in its name is taken back, and they keep no words of
    finders. The household is locked. Raises as `change_member`."""
    await _role_in(session, household_id, user_id)
    await _leaves_owners(session, household_id, user_id)
    await _take_back(session, household_id, user_id)
    await end_grants_of(session, household_id, user_id)
    await households.part(session, household_id, user_id)
    await calendar_connections.left_household(session, user_id, household_id)
    await lost.forget_told(session, household_id, user_id)
    await actions.hand_over(session, await reminder_scopes.made_by(session, user_id, household_id))
    left = user_id == caller.user_id
    action = "household.member_left" if left else "household.member_removed"
    await record(session, services, client, caller, action, household_id, subject=user_id)
    await say(session, household_id, also=(user_id,))


async def end_grants_of(session: AsyncSession, household_id: UUID, user_id: UUID) -> None:
    """A member needs no grant: one of before would let them in again once they are none. The household is locked."""
    for grant_id in await grants.revoke_held(session, household_id, user_id):
        await outbox.GRANT.ring(session, household_id, grant_id)


async def record(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    action: str,
    household_id: UUID,
    *,
    subject: UUID | None = None,
    object: str | None = None,
) -> None:
    """An entry in the household's log, by default about itself and the caller."""
    await note(
        session,
        services.identity,
        client,
        action,
        actor=caller.user_id,
        subject=subject or caller.user_id,
        sid=caller.session_id,
        object=object or f"household:{household_id}",
        household=household_id,
    )


async def say(session: AsyncSession, household_id: UUID, *, also: Iterable[UUID] = ()) -> None:
    """The screens of everybody who belongs to it, and of these people, hear that it has changed."""
    people = {*await households.roles(session, household_id), *also}
    live.say(session, people, live.Name.HOUSEHOLD_UPDATED, household_id=household_id)


async def _role_in(session: AsyncSession, household_id: UUID, user_id: UUID) -> Role:
    role = (await households.roles(session, household_id)).get(user_id)
    if role is None:
        raise NotFound("no such member")
    return role


async def _leaves_owners(session: AsyncSession, household_id: UUID, user_id: UUID) -> None:
    rules.check_owner_remains(await households.active_owners(session, household_id), user_id)


async def _take_back(session: AsyncSession, household_id: UUID, user_id: UUID) -> None:
    """Whoever is no owner any more neither invites, nor lets in, nor gives pets away: what they offered is closed."""
    now = await database_now(session)
    for invitation in await invitations.open_ones(session, household_id):
        if invitation.invited_by == user_id:
            await invitations.close(session, invitation, InvitationState.REVOKED, now)
            await outbox.INVITATION.ring(session, household_id, invitation.id)
    for transfer in await transfers.open_ones(session, household_id):
        if transfer.offered_by == user_id:
            await transfers.close(session, transfer, TransferState.CANCELLED, now)
            await outbox.TRANSFER.ring(session, household_id, transfer.id)
    for grant_id in await grants.revoke_given(session, household_id, user_id):
        await outbox.GRANT.ring(session, household_id, grant_id)
