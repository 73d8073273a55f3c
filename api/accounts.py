"""Accounts from the first address to the wish to be forgotten (identity-and-security.md §2.5-2.6, reliability §4.4)."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api import account_creation, password_policy
from api.auth import lock_account, mark_revoked
from api.identity import Client, Identity
from api.mail import MailTemplate, send_mail
from api.mailed_links import LinkRefused, even_pace, spend
from api.password_policy import Owner
from api.step_up import require_proof
from api.tokens import Caller
from api.trail import note
from core.db import raw_connection
from core.errors import NotFound
from models.queries import erasure, feedback, sessions, takeover, throttle, users
from models.queries.clock import database_now
from models.session import MailTokenKind
from models.user import ErasureRequest, User, UserState


@dataclass(frozen=True, slots=True)
class Registration:
    """What a person tells about themselves. `address` is mailed to, `canonical` tells accounts apart."""

    address: str
    canonical: str
    password: str
    first_name: str | None
    last_name: str | None
    phone: str | None
    timezone: str


async def register(identity: Identity, client: Client, form: Registration) -> None:
    """Make an account, or tell the owner of the address by mail that there is one. The caller cannot see which.

    Both ways hash, write one outbox row and take the same time. Of an unverified account nobody's password is kept:
    neither who registered the address first nor who did last may choose that of its owner, whom the mail lets choose.
    Raises `PasswordRefused`, `HashingBusy`.
    """
    owner = Owner(form.address, (form.first_name, form.last_name))
    # Before the pace begins: it has to last for what follows, and this takes the longer the more people come.
    password_hash = (await password_policy.accept(identity, client, form.password, owner)).hash
    async with even_pace():
        email_bidx = identity.blind_index(form.canonical)
        if (await identity.limiter.hit("mails", email_bidx.hex())).allowed:
            known = await users.credentials_by_address(identity.db.reads, email_bidx)
            if known is not None or not await _create(identity, client, form, email_bidx, password_hash):
                await _register_again(identity, client, form, email_bidx)


async def verify_email(identity: Identity, client: Client, token: str) -> None:
    """The address is theirs: the account may sign in. Raises `LinkRefused`."""
    async with identity.db.sessions.begin() as session:
        user = await spend(session, token, MailTokenKind.VERIFY)
        if user.email_verified_at is None:
            user.email_verified_at = await database_now(session)
            # What strangers tried on the address before it had an owner is not held against them.
            await throttle.forgive(await raw_connection(session), identity.throttle_key(user.email_bidx))
        await feedback.lift(session, user.id)  # the mail with the link arrived
        await note(session, identity, client, "auth.verify_email", actor=user.id, subject=user.id)


async def request_erasure(identity: Identity, client: Client, caller: Caller, password: str | None) -> ErasureRequest:
    """Block the account at once, end its sessions and set the day. Raises as `require_proof` and `lock_account`."""
    await require_proof(identity, client, caller, password)
    async with identity.db.sessions.begin() as session:
        user, _ = await lock_account(session, caller)
        request, ended = await close(session, identity, user)
        await note(session, identity, client, "erasure.request", actor=user.id, subject=user.id, sid=caller.session_id)
    await mark_revoked(identity, caller.user_id, {*ended, caller.session_id})
    return request


async def close(session: AsyncSession, identity: Identity, user: User) -> tuple[ErasureRequest, list[UUID]]:
    """Block an active account, locked, and set the day of its erasure; answers the sessions that ended. Its owner gets
    the link that takes it back."""
    execute_at = await database_now(session) + timedelta(days=identity.settings.erasure.grace_days)
    request = ErasureRequest(user_id=user.id, execute_at=execute_at)
    await erasure.add(session, request)
    user.state = UserState.BLOCKED
    await session.flush()
    ended = await sessions.revoke_all(session, user.id, "erasure_requested")
    await send_mail(session, user.id, MailTemplate.ERASURE_REQUESTED)
    return request, ended


async def cancel_erasure(identity: Identity, client: Client, token: str) -> None:
    """The account is as it was; its owner signs in anew. Raises `LinkRefused`."""
    async with identity.db.sessions.begin() as session:
        user = await spend(session, token, MailTokenKind.CANCEL_ERASURE)
        if user.state != UserState.BLOCKED or await erasure.cancel(session, user.id) is None:
            raise LinkRefused
        user.state = UserState.ACTIVE
        await note(session, identity, client, "erasure.cancel", actor=user.id, subject=user.id)


async def last_erasure(identity: Identity, caller: Caller) -> ErasureRequest:
    """The caller's last wish to be forgotten, open or taken back. Raises `NotFound`."""
    async with identity.db.sessions() as session:
        request = await erasure.newest(session, caller.user_id)
    if request is None:
        raise NotFound("You have not asked for it.")
    return request


async def _create(
    identity: Identity, client: Client, form: Registration, email_bidx: bytes, password_hash: str
) -> bool:
    """A new account with its keys and home; False when another request was quicker."""
    account = await account_creation.prepare(identity, form.address, email_bidx)
    await _fill_in(identity, account.user, form, password_hash)
    async with identity.db.sessions.begin() as session:
        if not await account_creation.insert(session, account):
            return False
        user_id = account.user.id
        await note(session, identity, client, "auth.register", outcome="new", actor=user_id, subject=user_id)
        await send_mail(session, user_id, MailTemplate.VERIFY_EMAIL)
    return True


async def _register_again(identity: Identity, client: Client, form: Registration, email_bidx: bytes) -> None:
    async with identity.db.sessions.begin() as session:
        user = await users.lock_by_address(session, email_bidx)
        if user is None:
            return  # erased between the two looks; the address is free for the next try
        unverified = user.email_verified_at is None and user.state == UserState.ACTIVE
        if unverified:
            await takeover.drop_credentials(session, user.id)  # an identity elsewhere that nobody confirmed, either
            await _fill_in(identity, user, form, None)
        await note(session, identity, client, "auth.register", outcome="known", actor=None, subject=user.id)
        template = MailTemplate.PASSWORD_RESET if unverified else MailTemplate.ALREADY_REGISTERED
        await send_mail(session, user.id, template)


async def _fill_in(identity: Identity, user: User, form: Registration, password_hash: str | None) -> None:
    names = {"first_name": form.first_name, "last_name": form.last_name}
    await account_creation.fill_in(identity, user, **names, phone=form.phone)
    user.timezone = form.timezone
    user.password_hash, user.password_single_factor_ok = password_hash, password_hash is not None
