"""Accounts from the first address to the wish to be forgotten (identity-and-security.md §2.5-2.6, reliability §4.4)."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from api import password_policy
from api.auth import mark_revoked, require_fresh
from api.identity import Client, Identity
from api.mail import MailTemplate, send_mail
from api.mailed_links import LinkRefused, even_pace, spend
from api.password_policy import Owner
from api.sign_in import password_matches
from api.tokens import Caller
from api.trail import note
from core.crypto import Subject
from core.errors import Conflict, Forbidden, NotFound
from core.ids import new_id
from models.queries import erasure, feedback, households, sessions, throttle, users
from models.queries.clock import database_now
from models.session import MailTokenKind
from models.user import ErasureRequest, User, UserState


class PasswordWrong(Forbidden):
    """403: the session stays as it is."""

    code = "password_wrong"


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

    Both ways hash, write one outbox row and take the same time. An unverified account is made over: whoever registered
    first with somebody else's address must not choose the password of its owner. Raises `PasswordRefused`,
    `HashingBusy`.
    """
    async with even_pace():
        owner = Owner(form.address, (form.first_name, form.last_name))
        password_hash = (await password_policy.accept(identity, client, form.password, owner)).hash
        email_bidx = identity.blind_index(form.canonical)
        if (await identity.limiter.hit("mails", email_bidx.hex())).allowed:
            known = await users.credentials_by_address(identity.db.reads, email_bidx)
            if known is not None or not await _create(identity, client, form, email_bidx, password_hash):
                await _register_again(identity, client, form, email_bidx, password_hash)


async def verify_email(identity: Identity, client: Client, token: str) -> None:
    """The address is theirs: the account may sign in. Raises `LinkRefused`."""
    async with identity.db.sessions.begin() as session:
        user = await spend(session, token, MailTokenKind.VERIFY)
        if user.email_verified_at is None:
            user.email_verified_at = await database_now(session)
            # What strangers tried on the address before it had an owner is not held against them.
            await throttle.forgive(session, identity.throttle_key(user.email_bidx))
        await feedback.lift(session, user.id)  # the mail with the link arrived
        await note(session, identity, client, "auth.verify_email", actor=user.id, subject=user.id)


async def request_erasure(identity: Identity, client: Client, caller: Caller, password: str | None) -> ErasureRequest:
    """Block the account at once, end its sessions and set the day. Raises `StepUpRequired`, `PasswordWrong`,
    `Conflict`, `TooManyRequests`, `HashingBusy`."""
    await step_up(identity, client, caller, password)
    async with identity.db.sessions.begin() as session:
        user = await users.lock(session, caller.user_id)
        if user is None or user.state != UserState.ACTIVE:
            raise Conflict("It was asked for already.", code="erasure_already_requested")
        now = await database_now(session)
        execute_at = now + timedelta(days=identity.settings.erasure.grace_days)
        request = ErasureRequest(user_id=user.id, execute_at=execute_at)
        await erasure.add(session, request)
        user.state = UserState.BLOCKED
        await session.flush()
        ended = await sessions.revoke_all(session, user.id, "erasure_requested")
        await note(session, identity, client, "erasure.request", actor=user.id, subject=user.id, sid=caller.session_id)
        await send_mail(session, user.id, MailTemplate.ERASURE_REQUESTED)
    await mark_revoked(identity, caller.user_id, {*ended, caller.session_id})
    return request


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


async def step_up(identity: Identity, client: Client, caller: Caller, password: str | None) -> None:
    """Proof that it is them, now: the password, or a login of the last five minutes (ASVS 7.5.1). Raises
    `StepUpRequired`, `PasswordWrong`, `TooManyRequests`, `HashingBusy`."""
    if password is None:
        return require_fresh(caller)
    account = await users.credentials_by_id(identity.db.reads, caller.user_id)
    matches = account is not None and await password_matches(identity, client, account.email_bidx, account, password)
    async with identity.db.sessions.begin() as session:
        if account is not None and matches:
            return await throttle.forgive(session, identity.throttle_key(account.email_bidx))
        who = caller.user_id
        await note(session, identity, client, "auth.step_up", outcome="refused", actor=who, subject=who)
    raise PasswordWrong("The password is wrong.")


async def _create(
    identity: Identity, client: Client, form: Registration, email_bidx: bytes, password_hash: str
) -> bool:
    """A new account with its keys and home; False when another request was quicker."""
    user_id, household_id = new_id(), new_id()
    await asyncio.gather(
        identity.keys.create(Subject.user(user_id)), identity.keys.create(Subject.household(household_id))
    )
    user = User(
        id=user_id,
        email_ct=await identity.cipher.seal(Subject.user(user_id), "users.email_ct", user_id, form.address),
        email_bidx=email_bidx,
    )
    await _fill_in(identity, user, form, password_hash)
    async with identity.db.sessions.begin() as session:
        if not await users.add(session, user):
            return False
        await households.create(session, household_id, user_id, home_tzid=form.timezone)
        await note(session, identity, client, "auth.register", outcome="new", actor=user_id, subject=user_id)
        await send_mail(session, user_id, MailTemplate.VERIFY_EMAIL)
    return True


async def _register_again(
    identity: Identity, client: Client, form: Registration, email_bidx: bytes, password_hash: str
) -> None:
    async with identity.db.sessions.begin() as session:
        user = await users.lock_by_address(session, email_bidx)
        if user is None:
            return  # erased between the two looks; the address is free for the next try
        unverified = user.email_verified_at is None and user.state == UserState.ACTIVE
        if unverified:
            await _fill_in(identity, user, form, password_hash)
        await note(session, identity, client, "auth.register", outcome="known", actor=None, subject=user.id)
        await send_mail(session, user.id, MailTemplate.VERIFY_EMAIL if unverified else MailTemplate.ALREADY_REGISTERED)


async def _fill_in(identity: Identity, user: User, form: Registration, password_hash: str) -> None:
    owner, cipher = Subject.user(user.id), identity.cipher
    user.first_name_ct = await cipher.seal_optional(owner, "users.first_name_ct", user.id, form.first_name)
    user.last_name_ct = await cipher.seal_optional(owner, "users.last_name_ct", user.id, form.last_name)
    user.phone_ct = await cipher.seal_optional(owner, "users.phone_ct", user.id, form.phone)
    user.timezone = form.timezone
    user.password_hash, user.password_single_factor_ok = password_hash, True
