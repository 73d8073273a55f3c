"""The identities elsewhere that open one's own account: seen, added, taken away (identity-and-security.md §4.5)."""

import asyncio
from typing import Any
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import lock_account, mark_revoked
from api.external import identity_row, tell_of
from api.factors import require_way_in
from api.identity import Client, Identity
from api.mail import MailTemplate
from api.oauth import CodeRefused
from api.oauth_tickets import LinkCode, Linking, Start, issue, take
from api.tokens import Caller
from api.trail import note
from core.errors import Conflict, NotFound
from core.logging import logger
from core.pkce import fits
from domain.oauth import Provider
from integrations.identity.factory import Providers
from integrations.identity.protocol import ExternalIdentity, ProviderUnavailable
from models.queries import identities, sessions
from models.user import AuthIdentity

log = logger(__name__)

REVOCATIONS = Counter("petfolio_grant_revocations", "Grants ended at providers, by result.", ["provider", "result"])


class IdentityTaken(Conflict):
    """409: it opens another account. It is unlinked there first."""

    code = "identity_taken"


async def show(identity: Identity, caller: Caller) -> list[dict[str, Any]]:
    """The caller's identities, in the order in which they were linked."""
    async with identity.db.sessions() as session:
        return [await _present(identity, row) for row in await identities.of_user(session, caller.user_id)]


async def start(identity: Identity, caller: Caller, provider: Provider, next: str, challenge: str) -> str:
    """The address to open in a browser within minutes: from there the way is that of signing in."""
    begun = Start(provider, next, challenge, linking=Linking(caller.user_id, caller.session_id))
    async with identity.db.sessions.begin() as session:
        ticket = await issue(session, identity, begun)
    return f"{identity.settings.public_url}/api/v1/auth/oauth/{provider}/start?ticket={ticket}"


async def link(identity: Identity, client: Client, caller: Caller, code: str, verifier: str) -> dict[str, Any]:
    """Add what the browser came back with; linking it again changes nothing. Raises `CodeRefused`, `IdentityTaken`."""
    async with identity.db.sessions.begin() as session:
        ticket = await take(session, identity, LinkCode, code)
    # Only the session that proved who it is at the start may end it.
    mine = Linking(caller.user_id, caller.session_id)
    if ticket is None or ticket.linking != mine or not fits(verifier, ticket.challenge):
        raise CodeRefused("The code is not valid, or no longer.")
    async with identity.db.sessions.begin() as session:
        await lock_account(session, caller)
        row = await identity_row(identity, caller.user_id, ticket.provider, ticket.external)
        if await identities.add(session, row):
            await _note(session, identity, client, caller, "auth.identity.link", ticket.provider)
            await tell_of(session, identity, caller.user_id, ticket.provider, MailTemplate.IDENTITY_LINKED)
        return await _present(identity, await _own(session, caller, ticket.external))


async def unlink(identity: Identity, providers: Providers, client: Client, caller: Caller, identity_id: UUID) -> None:
    """Take it away, end the other sessions, and the grant at the provider. Raises `NotFound`, `LastCredential`."""
    async with identity.db.sessions.begin() as session:
        await lock_account(session, caller)
        rows = await identities.of_user(session, caller.user_id)
        row = next((row for row in rows if row.id == identity_id), None)
        if row is None:
            raise NotFound("no such identity")
        ended = await sessions.revoke_others(session, caller.user_id, caller.session_id, "identity_unlinked")
        await remove(session, identity, row)
        await require_way_in(session, caller.user_id)
        await _note(session, identity, client, caller, "auth.identity.unlink", Provider(row.provider))
    await mark_revoked(identity, caller.user_id, ended)
    await revoke_grant(identity, providers, row)


async def remove(session: AsyncSession, identity: Identity, row: AuthIdentity) -> None:
    """It opens the account no more; its person is told. The account is locked."""
    await identities.remove(session, row.id)
    await tell_of(session, identity, row.user_id, Provider(row.provider), MailTemplate.IDENTITY_UNLINKED)


async def revoke_grant(identity: Identity, providers: Providers, row: AuthIdentity) -> None:
    """Tell the provider that we let go; once and as well as it goes: a person can end it there, too."""
    provider = providers.get(Provider(row.provider))
    if provider is None:
        return
    token = await identity.cipher.open_optional(identities.REFRESH_TOKEN, row.id, row.refresh_token_ct)
    try:
        async with asyncio.timeout(identity.settings.oauth.provider_seconds):
            await provider.revoke(ExternalIdentity(row.issuer, row.subject, refresh_token=token))
    except (ProviderUnavailable, TimeoutError) as away:
        REVOCATIONS.labels(row.provider, "failed").inc()
        log.error("grant_not_revoked", provider=row.provider, identity_id=str(row.id), reason=str(away))
    else:
        REVOCATIONS.labels(row.provider, "ok").inc()


async def _own(session: AsyncSession, caller: Caller, external: ExternalIdentity) -> AuthIdentity:
    row = await identities.find(session, external.issuer, external.subject)
    if row is None or row.user_id != caller.user_id:
        raise IdentityTaken("This identity opens another account. Unlink it there first.")
    return row


async def _present(identity: Identity, row: AuthIdentity) -> dict[str, Any]:
    email = await identity.cipher.open_optional(identities.EMAIL, row.id, row.email_ct)
    shown = {name: getattr(row, name) for name in ("id", "provider", "created_at", "last_used_at")}
    return shown | {"email": email}


async def _note(
    session: AsyncSession, identity: Identity, client: Client, caller: Caller, action: str, provider: Provider
) -> None:
    who, sid = caller.user_id, caller.session_id
    await note(session, identity, client, action, actor=who, subject=who, sid=sid, object=provider)
