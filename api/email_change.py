"""Moving an account to another address: asked for by somebody who has just proven who they are, counted only once the
new mailbox has confirmed it, and told to the old one both times (§2.6, ASVS 6.3.7)."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import lock_account, mark_revoked
from api.identity import Client, Identity
from api.mail import MailTemplate, Notice, notify, send_mail
from api.mailed_links import LinkRefused, even_pace, token_hash
from api.tokens import Caller
from api.trail import note
from core.crypto import Subject
from core.db import raw_connection
from core.errors import Conflict
from core.ids import new_id
from domain.notification import Category, Channel
from models.queries import email_changes, feedback, sessions, throttle, users
from models.session import MailTokenKind
from models.user import EmailChange, User, UserState

ADDRESS = "email_changes.address_ct"
EMAIL = "users.email_ct"


async def ask(identity: Identity, client: Client, caller: Caller, address: str, canonical: str) -> None:
    """Mail a link to the new address. Where that belongs to another account, its owner is told instead; the caller
    cannot see which. Raises `Conflict` for the address it has, `TooManyRequests`."""
    await identity.limiter.require("credentials", str(caller.user_id))
    bidx = identity.blind_index(canonical)
    async with even_pace():
        if (await identity.limiter.hit("mails", bidx.hex())).allowed:
            async with identity.db.sessions.begin() as session:
                await _ask(session, identity, client, caller, address, bidx)


async def confirm(identity: Identity, client: Client, token: str) -> None:
    """The mailbox is theirs: the account moves there. Every session ends but the one that asked, and that one has to
    prove anew who it is. Raises `LinkRefused`, also when the address was taken meanwhile."""
    async with identity.db.sessions.begin() as session:
        found = await users.spend_mail_token(session, token_hash(token), MailTokenKind.CHANGE)
        user, address_bidx = found if found is not None else (None, b"")
        change = await email_changes.open_change(session, user.id) if user else None
        if user is None or change is None or user.state != UserState.ACTIVE or change.address_bidx != address_bidx:
            raise LinkRefused
        ended = await _move(session, identity, client, user, change)
    await mark_revoked(identity, change.user_id, ended)


async def _ask(
    session: AsyncSession, identity: Identity, client: Client, caller: Caller, address: str, bidx: bytes
) -> None:
    user, _ = await lock_account(session, caller)
    if user.email_bidx == bidx:
        raise Conflict("This is the address the account has.", code="same_email")
    change_id = new_id()
    address_ct = await identity.cipher.seal(Subject.user(user.id), ADDRESS, change_id, address)
    change = EmailChange(
        id=change_id, user_id=user.id, session_id=caller.session_id, address_ct=address_ct, address_bidx=bidx
    )
    await email_changes.ask(session, change)
    await note(session, identity, client, "email.ask", actor=user.id, subject=user.id, sid=caller.session_id)
    await _tell(session, identity, change, MailTemplate.EMAIL_CHANGE_ASKED)
    owner_id = await users.id_by_address(session, bidx)
    if owner_id is not None:
        return await send_mail(session, owner_id, MailTemplate.ADDRESS_IN_USE)
    link = Notice(
        user_id=user.id,
        category=Category.ACCOUNT,
        template=MailTemplate.CONFIRM_EMAIL,
        event_key=email_changes.confirmation_key(change.id),
        channels=(Channel.EMAIL,),
    )
    await notify(session, identity.cipher, link)


async def _move(
    session: AsyncSession, identity: Identity, client: Client, user: User, change: EmailChange
) -> list[UUID]:
    """Address, sessions and word to the old mailbox, in one transaction. Answers which sessions ended."""
    cipher = identity.cipher
    former = await cipher.open(EMAIL, user.id, user.email_ct)
    address = await cipher.open(ADDRESS, change.id, change.address_ct)
    email_ct = await cipher.seal(Subject.user(user.id), EMAIL, user.id, address)
    if not await email_changes.carry_out(session, user, change, email_ct):
        raise LinkRefused
    await feedback.lift(session, user.id)  # the mail with the link arrived
    await throttle.forgive(await raw_connection(session), identity.throttle_key(change.address_bidx))
    ended = await sessions.revoke_others(session, user.id, change.session_id, "email_change")
    if change.session_id is not None:
        await email_changes.require_proof(session, change.session_id)
    await note(session, identity, client, "email.change", actor=user.id, subject=user.id)
    await _tell(session, identity, change, MailTemplate.EMAIL_CHANGED, to=former)
    return ended


async def _tell(
    session: AsyncSession, identity: Identity, change: EmailChange, template: MailTemplate, **params: str
) -> None:
    notice = Notice(
        user_id=change.user_id,
        category=Category.SECURITY,
        template=template,
        event_key=f"email_change/{change.id}/{template}",
        channels=(Channel.EMAIL, Channel.IN_APP),
        params=params,
    )
    await notify(session, identity.cipher, notice)
