"""What Apple and Facebook tell about people who sign in with them: checked, acted on once, answered.

Apple's words: https://developer.apple.com/documentation/sign_in_with_apple/processing_changes_for_sign_in_with_apple
_accounts. Facebook's: https://developers.facebook.com/docs/development/create-an-app/app-dashboard/
data-deletion-callback
"""

import asyncio
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api import accounts, linking
from api.auth import mark_revoked
from api.external import tell_of
from api.identity import Client, Identity
from api.mail import MailTemplate
from api.mail_feedback import REFUSED
from api.trail import note
from core.logging import logger
from domain.oauth import Provider
from integrations.identity.apple import AppleNotice, AppleProvider
from integrations.identity.facebook import DeletionRequest, FacebookProvider
from integrations.identity.protocol import IdentityRefused, ProviderUnavailable
from models.queries import identities, sessions, users, vendor_events
from models.user import AuthIdentity, User, UserState

log = logger(__name__)

DELETION_PAGE: Final = "/data-deletion"
"""Below it each request to forget somebody has its status, by its code."""
CONSENT_REVOKED: Final = "consent-revoked"
GONE: Final = frozenset({"account-delete", "account-deleted"})
"""The Apple account is no more; Apple's pages write it both ways."""
Ended = dict[UUID, list[UUID]]
"""Sessions that ended, by account."""


async def receive_apple(identity: Identity, client: Client, apple: AppleProvider, payload: str) -> None:
    """A server notification. Who took back their consent is signed out everywhere; who left Apple loses that way in.
    Raises `IdentityRefused`, `ProviderUnavailable` (Apple tries again)."""
    try:
        async with asyncio.timeout(identity.settings.oauth.provider_seconds):
            notice = await apple.read_notice(payload)
    except TimeoutError:
        raise ProviderUnavailable("The provider's keys cannot be had.") from None
    except IdentityRefused as refused:
        _refused(Provider.APPLE, refused)
        raise
    ended: Ended = {}
    async with identity.db.sessions.begin() as session:
        if await vendor_events.claim(session, Provider.APPLE, notice.id):
            ended = await _act_on(session, identity, client, apple, notice)
    await _mark_revoked(identity, ended)


async def receive_deletion(identity: Identity, client: Client, facebook: FacebookProvider, signed: str) -> str:
    """Somebody wants us to forget what we have from Facebook; answers the code that its status is asked with. The
    identity goes. If nothing else opens the account, the account goes, too, after the grace that everybody has. Raises
    `IdentityRefused`."""
    try:
        wish = facebook.read_deletion(signed)
    except IdentityRefused as refused:
        _refused(Provider.FACEBOOK, refused)
        raise
    ended: Ended = {}
    async with identity.db.sessions.begin() as session:
        if await vendor_events.claim(session, Provider.FACEBOOK, wish.id):
            ended = await _forget(session, identity, client, facebook, wish)
    await _mark_revoked(identity, ended)
    return wish.id


async def _act_on(
    session: AsyncSession, identity: Identity, client: Client, apple: AppleProvider, notice: AppleNotice
) -> Ended:
    if notice.kind != CONSENT_REVOKED and notice.kind not in GONE:
        return {}
    found = await _locked(session, apple.issuer, notice.subject)
    if found is None:
        return {}
    user, row = found
    if notice.kind == CONSENT_REVOKED:
        await identities.forget_refresh_token(session, row.id)
        await tell_of(session, identity, user.id, Provider.APPLE, MailTemplate.IDENTITY_REVOKED)
    else:
        await linking.remove(session, identity, row)
    await _note(session, identity, client, f"auth.identity.{notice.kind}", user.id, Provider.APPLE)
    return {user.id: await sessions.revoke_all(session, user.id, notice.kind)}


async def _forget(
    session: AsyncSession, identity: Identity, client: Client, facebook: FacebookProvider, wish: DeletionRequest
) -> Ended:
    found = await _locked(session, facebook.issuer, wish.subject)
    if found is None:
        return {}
    user, row = found
    needed = await identities.ways_in(session, user.id) == 1
    await _note(session, identity, client, "auth.identity.deletion", user.id, Provider.FACEBOOK)
    if needed and user.state == UserState.ACTIVE:
        await identities.remove(session, row.id)
        _, ended = await accounts.close(session, identity, user)
        await _note(session, identity, client, "erasure.request", user.id, Provider.FACEBOOK)
        return {user.id: ended}
    await linking.remove(session, identity, row)
    return {user.id: await sessions.revoke_all(session, user.id, "identity_unlinked")}


async def _locked(session: AsyncSession, issuer: str, subject: str) -> tuple[User, AuthIdentity] | None:
    """The account that an identity opens, locked, and the identity."""
    owner = await identities.owner(session, issuer, subject)
    user = await users.lock(session, owner) if owner is not None else None
    row = await identities.find(session, issuer, subject)
    return (user, row) if user is not None and row is not None and row.user_id == user.id else None


def _refused(provider: Provider, refused: IdentityRefused) -> None:
    REFUSED.labels(provider, refused.why).inc()
    log.warning("provider_event_refused", provider=provider, reason=refused.why)


async def _note(
    session: AsyncSession, identity: Identity, client: Client, action: str, subject: UUID, provider: Provider
) -> None:
    await note(session, identity, client, action, actor=None, subject=subject, object=provider)


async def _mark_revoked(identity: Identity, ended: Ended) -> None:
    for user_id, session_ids in ended.items():
        await mark_revoked(identity, user_id, session_ids)
