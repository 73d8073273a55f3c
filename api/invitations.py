"""Inviting people to a household by mail, and answering (identity-and-security.md §4.6)."""

import hashlib
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api import households as sharing
from api.auth import Caller
from api.identity import Client
from api.schemas.auth import Mailbox
from api.schemas.households import InvitationIn
from api.services import Services
from core.crypto import FieldCipher, Subject
from core.errors import Conflict, NotFound, PetfolioError
from core.ids import new_id
from domain import household as rules
from domain.access import Role
from models.household import Household, Invitation, InvitationState
from models.queries import households, invitations, users
from models.queries.clock import database_now
from temporal import outbox

EMAIL = "invitations.email_ct"


class InvitationRefused(PetfolioError):
    """400, the same for a used, expired, revoked or unknown token, and for one that was sent to another address."""

    code = "invalid_invitation"
    http_status = 400


async def present(cipher: FieldCipher, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `InvitationOut`."""
    shown = "id household_id role state invited_by mail_problem expires_at created_at updated_at version".split()
    return {
        **{field: row[field] for field in shown},
        "email": await cipher.open(EMAIL, row["id"], row["email_ct"]),
        "mailed": row["mailed"] == row["mailing"] and row["mail_problem"] is None,
    }


async def create(
    session: AsyncSession, services: Services, client: Client, caller: Caller, household: Household, body: InvitationIn
) -> asyncpg.Record:
    """A new invitation, whose workflow mails it. The household is locked. Raises `Conflict`, `TooManyRequests`."""
    address_index = services.identity.blind_index(body.email.canonical)
    await _check_room(session, household.id, address_index)
    await services.identity.limiter.require("invitations", str(caller.user_id))
    invitation_id, now = new_id(), await database_now(session)
    invitation = Invitation(
        id=invitation_id,
        household_id=household.id,
        invited_by=caller.user_id,
        email_ct=await seal_address(services, household.id, EMAIL, invitation_id, body.email),
        email_bidx=address_index,
        role=Role(body.role),
        locale=await mail_language(services, caller, body.locale),
        expires_at=now + rules.INVITATION_LASTS,
    )
    session.add(invitation)
    await session.flush()
    await outbox.INVITATION.ring(session, household.id, invitation_id)
    await _record(session, services, client, caller, "invited", invitation)
    return await invitations.find_in(session, invitation_id)


async def resend(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    household: Household,
    invitation_id: UUID,
) -> asyncpg.Record:
    """Mail it once more, with a new token and a new week. Raises `NotFound`, `Conflict`, `TooManyRequests`."""
    invitation, now = await _open(session, household.id, invitation_id), await database_now(session)
    if invitation.mailing >= rules.MAX_MAILINGS:
        raise Conflict(f"It was mailed {rules.MAX_MAILINGS} times.", code="too_many_mails")
    await services.identity.limiter.require("invitations", str(caller.user_id))
    invitation.mailing += 1
    invitation.expires_at, invitation.mail_problem = now + rules.INVITATION_LASTS, None
    await invitations.touch(session, invitation, now)
    await outbox.INVITATION.ring(session, household.id, invitation.id)
    await _record(session, services, client, caller, "invited_again", invitation)
    return await invitations.find_in(session, invitation.id)


async def revoke(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    household: Household,
    invitation_id: UUID,
) -> None:
    """Take it back: the mailed link is good for nothing from now on. Repeating it changes nothing."""
    invitation = await invitations.lock(session, household.id, invitation_id)
    if invitation is None:
        raise NotFound("no such invitation")
    if invitation.state == InvitationState.OPEN:
        await _close(session, invitation, InvitationState.REVOKED)
        await _record(session, services, client, caller, "invitation_revoked", invitation)


async def accept(
    session: AsyncSession, services: Services, client: Client, caller: Caller, token: str
) -> asyncpg.Record:
    """Join. Raises `InvitationRefused`, and `Conflict` where there is no room."""
    invitation = await _of_token(session, caller, token)
    household_id = invitation.household_id
    present_role = (await households.roles(session, household_id)).get(caller.user_id)
    if present_role is None:
        await _check_households(session, household_id, caller.user_id)
        await sharing.end_grants_of(session, household_id, caller.user_id)
        await households.join(session, household_id, caller.user_id, invitation.role)
    elif rules.raises_role(present_role, Role(invitation.role)):
        await households.set_role(session, household_id, caller.user_id, invitation.role)
    invitation.accepted_by = caller.user_id
    await _close(session, invitation, InvitationState.ACCEPTED)
    await _record(session, services, client, caller, "member_joined", invitation)
    await sharing.say(session, household_id)
    return await households.find_in(session, caller.user_id, household_id)


async def decline(session: AsyncSession, services: Services, client: Client, caller: Caller, token: str) -> None:
    """No, thank you. Raises `InvitationRefused`."""
    invitation = await _of_token(session, caller, token)
    await _close(session, invitation, InvitationState.DECLINED)
    await _record(session, services, client, caller, "invitation_declined", invitation)
    await sharing.say(session, invitation.household_id)


async def seal_address(services: Services, household_id: UUID, column: str, row_id: UUID, email: Mailbox) -> str:
    """An address that members of a household gave us: under the household's key, as all that is theirs."""
    return await services.cipher.seal(Subject.household(household_id), column, row_id, email.address)


async def mail_language(services: Services, caller: Caller, asked: str | None) -> str:
    """Whoever mails somebody says in which language, or theirs is taken."""
    user = None if asked else await users.find(services.db.reads, caller.user_id)
    return asked or (user["locale"] if user else "en")


async def _check_room(session: AsyncSession, household_id: UUID, address_index: bytes) -> None:
    await invitations.close_expired(session, household_id)
    standing = await invitations.open_ones(session, household_id)
    if any(invitation.email_bidx == address_index for invitation in standing):
        raise Conflict("This address is invited already: have it mailed again.", code="already_invited")
    if await invitations.is_member(session, household_id, address_index):
        raise Conflict("They belong to the household already.", code="already_member")
    members = len(await households.roles(session, household_id))
    if len(standing) >= rules.MAX_OPEN_INVITATIONS or len(standing) + members >= rules.MAX_MEMBERS:
        raise Conflict("There is no room for more: take an open invitation back.", code="too_many_invitations")


async def _check_households(session: AsyncSession, household_id: UUID, user_id: UUID) -> None:
    await users.lock(session, user_id)  # of two invitations accepted at once the second sees the first
    counts = await households.counts(session, household_id, user_id)
    if counts.households >= rules.MAX_HOUSEHOLDS:
        raise Conflict(f"You belong to {rules.MAX_HOUSEHOLDS} households already.", code="too_many_households")
    if counts.members >= rules.MAX_MEMBERS:
        raise Conflict("The household is full.", code="household_full")


async def _open(session: AsyncSession, household_id: UUID, invitation_id: UUID) -> Invitation:
    await invitations.close_expired(session, household_id)
    invitation = await invitations.lock(session, household_id, invitation_id)
    if invitation is None:
        raise NotFound("no such invitation")
    if invitation.state != InvitationState.OPEN:
        raise Conflict("It was answered, taken back, or has expired.", code="invitation_closed")
    return invitation


async def _of_token(session: AsyncSession, caller: Caller, token: str) -> Invitation:
    """The open invitation of a mailed token that is the caller's. The household's row is locked first."""
    token_hash = hashlib.sha256(token.encode()).digest()
    household_id = await invitations.household_of_token(session, token_hash)
    if household_id is not None:
        await households.lock_all(session, (household_id,))
        invitation = await invitations.lock_open(session, token_hash, caller.user_id)
        if invitation is not None:
            return invitation
    raise InvitationRefused("This invitation is not valid, or no longer, or not for your address.")


async def _close(session: AsyncSession, invitation: Invitation, state: InvitationState) -> None:
    await invitations.close(session, invitation, state, await database_now(session))
    await outbox.INVITATION.ring(session, invitation.household_id, invitation.id)


async def _record(
    session: AsyncSession, services: Services, client: Client, caller: Caller, action: str, invitation: Invitation
) -> None:
    await sharing.record(
        session,
        services,
        client,
        caller,
        f"household.{action}",
        invitation.household_id,
        object=f"invitation:{invitation.id}",
    )
