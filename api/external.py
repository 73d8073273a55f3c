"""From a proven identity elsewhere to an account here (identity-and-security.md §4.5).

The rules are `domain.oauth.way_in`. Of several first logins at once the unique constraints let one make the account;
the others look again. The order of locks is always the account, then its identities.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncSession

from api import account_creation
from api.auth import mark_revoked
from api.identity import Client, Identity
from api.mail import MailTemplate, Notice, notify, send_mail
from api.mailed_links import keep_pace
from api.schemas.auth import Mailbox, read_mailbox
from api.trail import note
from core.crypto import Subject
from core.errors import Unavailable
from core.ids import new_id
from domain.notification import Category, Channel
from domain.oauth import Owner, Provider, Way, way_in
from integrations.identity.protocol import ExternalIdentity
from models.queries import identities, sessions, takeover, users
from models.queries.clock import database_now
from models.user import AuthIdentity, User, UserState

NAMES: Final = {Provider.GOOGLE: "Google", Provider.APPLE: "Apple", Provider.FACEBOOK: "Facebook"}
_LOOKS: Final = 4
_LONGEST_NAME: Final = 100


class Closed(StrEnum):
    """Why somebody who proved who they are elsewhere does not come in; what the app is told."""

    CONFIRM_ADDRESS = "confirm_address"
    """A mail is on its way to the address; it says what to do. The same, and as soon, whether or not the address has an
    account."""
    ADDRESS_NEEDED = "address_needed"
    SIGN_IN_REFUSED = "sign_in_refused"


@dataclass(frozen=True, slots=True)
class Opened:
    """The account; `epoch` as of now."""

    user_id: UUID
    epoch: int


class _Raced(Exception):
    """Another request was quicker: what was decided on is not so any more."""


async def account_of(
    identity: Identity, client: Client, provider: Provider, external: ExternalIdentity, timezone: str
) -> Opened | Closed:
    """Which account it opens, made (at home in `timezone`) or linked where the rules say so. Raises `Unavailable` when
    others are always quicker."""
    start = time.monotonic()
    for _ in range(_LOOKS):
        try:
            found = await _look(identity, client, provider, external, timezone)
        except _Raced:
            continue
        if found is Closed.CONFIRM_ADDRESS:
            await keep_pace(start)
        return found
    raise Unavailable("Somebody is signing in with the same identity. Try again.", retry_after=1)


async def _look(
    identity: Identity, client: Client, provider: Provider, external: ExternalIdentity, timezone: str
) -> Opened | Closed:
    mailbox = _mailbox(external)
    async with identity.db.sessions.begin() as session:
        owner_id = await identities.owner(session, external.issuer, external.subject)
        if owner_id is not None:
            return await _known(session, identity, client, provider, external, owner_id)
    if mailbox is None:
        return Closed.ADDRESS_NEEDED
    bidx = identity.blind_index(mailbox.canonical)
    newcomer = _Newcomer(identity, client, provider, external, mailbox, bidx, timezone)
    return await (newcomer.enter() if external.authoritative else newcomer.ask())


async def _known(
    session: AsyncSession,
    identity: Identity,
    client: Client,
    provider: Provider,
    external: ExternalIdentity,
    owner_id: UUID,
) -> Opened | Closed:
    user = await users.lock(session, owner_id)
    row = await identities.find(session, external.issuer, external.subject)
    if user is None or row is None or row.user_id != owner_id:
        raise _Raced
    if user.state != UserState.ACTIVE:
        await note(
            session, identity, client, "auth.login", outcome="refused", actor=None, subject=user.id, object=provider
        )
        return Closed.SIGN_IN_REFUSED
    await identities.used(session, row.id, await _sealed_token(identity, row, external))
    if user.email_verified_at is None:
        if (await identity.limiter.hit("mails", user.email_bidx.hex())).allowed:
            await send_mail(session, user.id, MailTemplate.VERIFY_EMAIL)
        return Closed.CONFIRM_ADDRESS
    return Opened(user.id, user.token_epoch)


@dataclass(frozen=True, slots=True)
class _Newcomer:
    """An identity that nobody here has, with an address."""

    identity: Identity
    client: Client
    provider: Provider
    external: ExternalIdentity
    mailbox: Mailbox
    email_bidx: bytes
    timezone: str

    async def enter(self) -> Opened | Closed:
        """The provider speaks for the address: whoever has it here is the same person."""
        ended: list[UUID] = []
        async with self.identity.db.sessions.begin() as session:
            user = await users.lock_by_address(session, self.email_bidx)
            match self._way(user):
                case Way.REFUSE:
                    return Closed.SIGN_IN_REFUSED
                case Way.TAKE_OVER:
                    assert user is not None  # noqa: S101 - there is no owner to take it over from otherwise
                    ended = await self._take_over(session, user)
                case Way.LINK:
                    pass
                case _:
                    user = None
            if user is not None:
                await self._link(session, user)
        if user is None:
            return await self._create(verified=True)
        await mark_revoked(self.identity, user.id, ended)
        return Opened(user.id, user.token_epoch)

    async def ask(self) -> Closed:
        """The address is a claim: its mailbox is asked, and nobody learns what was found. As registering by password
        does, it takes the same time either way and sends at most so many mails."""
        if (await self.identity.limiter.hit("mails", self.email_bidx.hex())).allowed:
            async with self.identity.db.sessions.begin() as session:
                user = await users.lock_by_address(session, self.email_bidx)
                taken = self._way(user) is Way.TELL_OWNER and user is not None
                if user is not None and taken:
                    await self._tell(session, user)
            if not taken:
                await self._create(verified=False)
        return Closed.CONFIRM_ADDRESS

    def _way(self, user: User | None) -> Way:
        owner = None
        if user is not None:
            owner = Owner(active=user.state == UserState.ACTIVE, verified=user.email_verified_at is not None)
        return way_in(authoritative=self.external.authoritative, owner=owner)

    async def _create(self, *, verified: bool) -> Opened:
        account = await account_creation.prepare(self.identity, self.mailbox.address, self.email_bidx)
        user = account.user
        user.timezone = self.timezone
        await self._name(user)
        async with self.identity.db.sessions.begin() as session:
            user.email_verified_at = await database_now(session) if verified else None
            if not await account_creation.insert(session, account):
                raise _Raced
            await self._add_identity(session, user)
            await self._note(session, "auth.register", "new", user.id)
            if not verified:
                await send_mail(session, user.id, MailTemplate.VERIFY_EMAIL)
        return Opened(user.id, user.token_epoch)

    async def _take_over(self, session: AsyncSession, user: User) -> list[UUID]:
        """Nobody confirmed the address: what was set up before was somebody else's. Answers the sessions that ended."""
        ended = await sessions.revoke_all(session, user.id, "taken_over")
        await takeover.drop_credentials(session, user.id)
        await session.refresh(user)
        user.password_hash, user.password_single_factor_ok = None, False
        user.email_verified_at = await database_now(session)
        await self._name(user)
        await session.flush()
        await self._note(session, "auth.identity.take_over", "ok", user.id)
        return ended

    async def _link(self, session: AsyncSession, user: User) -> None:
        await self._add_identity(session, user)
        await self._note(session, "auth.identity.link", "ok", user.id)
        await tell_of(session, self.identity, user.id, self.provider, MailTemplate.IDENTITY_LINKED)

    async def _add_identity(self, session: AsyncSession, user: User) -> None:
        row = await identity_row(self.identity, user.id, self.provider, self.external)
        if not await identities.add(session, row):
            raise _Raced

    async def _name(self, user: User) -> None:
        first, last = _name(self.external.first_name), _name(self.external.last_name)
        await account_creation.fill_in(self.identity, user, first_name=first, last_name=last)

    async def _tell(self, session: AsyncSession, user: User) -> None:
        """The owner of the address: how to link, or, where they never confirmed it, the link that does."""
        if user.email_verified_at is None:
            await send_mail(session, user.id, MailTemplate.VERIFY_EMAIL)
        else:
            await tell_of(session, self.identity, user.id, self.provider, MailTemplate.IDENTITY_NOT_LINKED)
        await self._note(session, "auth.identity.link", "refused", user.id)

    async def _note(self, session: AsyncSession, action: str, outcome: str, subject: UUID) -> None:
        actor = None if outcome == "refused" else subject
        await note(
            session,
            self.identity,
            self.client,
            action,
            outcome=outcome,
            actor=actor,
            subject=subject,
            object=self.provider,
        )


async def identity_row(
    identity: Identity, user_id: UUID, provider: Provider, external: ExternalIdentity
) -> AuthIdentity:
    """The row of an identity that is to open an account, sealed under its person's key."""
    row = AuthIdentity(
        id=new_id(),
        user_id=user_id,
        provider=provider,
        issuer=external.issuer,
        subject=external.subject,
        email_verified=external.email_verified,
    )
    owner = Subject.user(user_id)
    row.email_ct = await identity.cipher.seal_optional(owner, identities.EMAIL, row.id, external.email)
    row.refresh_token_ct = await _sealed_token(identity, row, external)
    return row


async def tell_of(
    session: AsyncSession, identity: Identity, user_id: UUID, provider: Provider, template: MailTemplate
) -> None:
    """A notice about a provider, by mail and in the app."""
    notice = Notice(
        user_id=user_id,
        category=Category.SECURITY,
        template=template,
        event_key=f"identity/{new_id()}",
        channels=(Channel.EMAIL, Channel.IN_APP),
        params={"provider": NAMES[provider]},
    )
    await notify(session, identity.cipher, notice)


async def _sealed_token(identity: Identity, row: AuthIdentity, external: ExternalIdentity) -> str | None:
    owner = Subject.user(row.user_id)
    return await identity.cipher.seal_optional(owner, identities.REFRESH_TOKEN, row.id, external.refresh_token)


def _name(text: str | None) -> str | None:
    """As a profile takes it."""
    return (text or "").strip()[:_LONGEST_NAME] or None


def _mailbox(external: ExternalIdentity) -> Mailbox | None:
    """The address, if the provider gave one that is one."""
    try:
        return read_mailbox(external.email)
    except PydanticCustomError:
        return None
