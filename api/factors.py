"""Second factors of one's own: the authenticator app and the codes on paper, and what follows from every change."""

import secrets
from dataclasses import dataclass, field, replace
from uuid import UUID

import pyotp
import segno
from sqlalchemy.ext.asyncio import AsyncSession

from api import password_change, password_policy
from api.auth import lock_account, mark_revoked
from api.ceremonies import RP_NAME
from api.identity import Client, Identity
from api.mail import MailTemplate, Notice, notify
from api.password_policy import NewPassword
from api.proofs import TOTP_SECRET
from api.tokens import Caller
from api.trail import note
from core.crypto import Subject
from core.errors import Conflict, FieldProblem, Invalid, NotFound
from core.ids import new_id
from domain.mfa import (
    RECOVERY_BYTES,
    RECOVERY_CODES,
    Method,
    has_second_factor,
    matching_step,
    normalize_recovery_code,
    recovery_code,
)
from domain.notification import Category, Channel
from domain.password import MIN_ALONE
from models.queries import identities, mfa, sessions, users
from models.queries.mfa import Overview
from models.user import User


class LastCredential(Conflict):
    """409: nothing else opens the account; something else has to be set first."""

    code = "last_credential"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is set up with, shown this once: base32, an address to scan, and that as a picture."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    qr_svg: str = field(repr=False)


async def overview(identity: Identity, caller: Caller) -> Overview:
    """What protects the caller's account beside the password."""
    return await mfa.overview(identity.db.reads, caller.user_id)


async def enrol_totp(identity: Identity, caller: Caller) -> Enrolment:
    """Begin with an authenticator app; it counts once a code of it is confirmed. Raises `Conflict`."""
    secret = pyotp.random_base32()
    sealed = await identity.cipher.seal(Subject.user(caller.user_id), TOTP_SECRET, caller.user_id, secret)
    async with identity.db.sessions.begin() as session:
        user, _ = await lock_account(session, caller)
        if not await mfa.enrol_totp(session, user.id, sealed):
            raise Conflict("There is an authenticator app already; remove it first.", code="totp_already_enrolled")
    uri = pyotp.TOTP(secret).provisioning_uri(name=await address(identity, caller), issuer_name=RP_NAME)
    return Enrolment(secret, uri, segno.make(uri, error="m").svg_inline(scale=4))


async def confirm_totp(identity: Identity, client: Client, caller: Caller, code: str) -> None:
    """The app shows what we expect: from now on it is asked for. Raises `Conflict`, and `Invalid` for a wrong code."""
    async with identity.db.sessions.begin() as session:
        user, _ = await lock_account(session, caller)
        totp = await mfa.totp(session, user.id)
        if totp is None or totp.confirmed:
            raise Conflict("There is no authenticator app waiting for its first code.", code="totp_not_begun")
        secret = await identity.cipher.open(TOTP_SECRET, user.id, totp.secret_ct)
        step = matching_step(secret, code, totp.now)
        if step is None:
            problem = FieldProblem("/code", "wrong_code", "This is not the code that the app shows now.")
            raise Invalid("The code is wrong.", code="wrong_code", errors=(problem,))
        await mfa.confirm_totp(session, user.id, step)
        ended = await changed(session, identity, client, caller, MailTemplate.FACTOR_ADDED, Method.TOTP)
    await mark_revoked(identity, caller.user_id, ended)


async def remove_totp(identity: Identity, client: Client, caller: Caller, new_password: str | None) -> None:
    """Do without the app. Raises `NotFound`, `PasswordRefused`, `HashingBusy`, and `Conflict` where the password is too
    short to be the only factor and no new one is given."""
    new = await accept_new(identity, client, caller, new_password)
    ended: list[UUID] = []
    async with identity.db.sessions.begin() as session:
        user, _ = await lock_account(session, caller)
        totp = await mfa.totp(session, user.id)
        if totp is None:
            raise NotFound("There is no authenticator app.")
        await mfa.remove_totp(session, user.id)
        if new is not None:
            await password_change.replace(session, identity, client, user, new, "password.change")
            ended = await sessions.revoke_others(session, user.id, caller.session_id, "password_change")
        if totp.confirmed:
            await removed(session, user)
            ended += await changed(session, identity, client, caller, MailTemplate.FACTOR_REMOVED, Method.TOTP)
    await mark_revoked(identity, caller.user_id, ended)


async def make_recovery_codes(identity: Identity, client: Client, caller: Caller) -> list[str]:
    """Ten new codes, shown this once; former ones are void. Raises `Conflict` without a factor they could stand for."""
    codes = [recovery_code(secrets.token_bytes(RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]
    macs = [identity.recovery_mac(caller.user_id, normalize_recovery_code(code)) for code in codes]
    async with identity.db.sessions.begin() as session:
        user, _ = await lock_account(session, caller)
        if not has_second_factor(await mfa.methods(session, user.id)):
            raise Conflict("Add an authenticator app or a passkey first.", code="no_second_factor")
        await mfa.replace_recovery_codes(session, user.id, macs)
        template, method = MailTemplate.RECOVERY_CODES_MADE, Method.RECOVERY_CODE
        ended = await changed(session, identity, client, caller, template, method)
    await mark_revoked(identity, caller.user_id, ended)
    return codes


async def address(identity: Identity, caller: Caller) -> str:
    """What the caller's authenticators call the account. Raises `NotFound`."""
    user = await users.find(identity.db.reads, caller.user_id)
    if user is None:
        raise NotFound("the account is gone")
    return await identity.cipher.open("users.email_ct", user["id"], user["email_ct"])


async def accept_new(identity: Identity, client: Client, caller: Caller, password: str | None) -> NewPassword | None:
    """A password to be set along, good enough to be the only factor. Raises `PasswordRefused`, `HashingBusy`,
    `NotFound`."""
    if password is None:
        return None
    owner = replace(await password_policy.owner_of(identity, caller.user_id), minimum=MIN_ALONE)
    return await password_policy.accept(identity, client, password, owner, pointer="/new_password")


async def removed(session: AsyncSession, user: User) -> None:
    """A factor is gone: with the last one go the recovery codes, and a password that was only good beside it must have
    made way (§2.3). Raises `Conflict`."""
    if has_second_factor(await mfa.methods(session, user.id)):
        return
    if user.password_hash is not None and not user.password_single_factor_ok:
        raise Conflict(
            "The password is too short to be the only factor: send `new_password` along.",
            code="password_too_short_without_mfa",
        )
    await mfa.void_recovery_codes(session, user.id)


async def require_way_in(session: AsyncSession, user_id: UUID) -> None:
    """Something that opens the locked account was taken away. Raises `LastCredential` when nothing is left."""
    if not await identities.ways_in(session, user_id):
        raise LastCredential("Set a password or a passkey first: nothing else opens your account.")


async def changed(
    session: AsyncSession, identity: Identity, client: Client, caller: Caller, template: MailTemplate, method: Method
) -> list[UUID]:
    """What follows from every change: it is on record, its owner is told, and nobody stays signed in elsewhere. The
    caller's row is locked; answers the sessions to be marked revoked after the commit."""
    who, sid = caller.user_id, caller.session_id
    await note(session, identity, client, f"auth.{template}", actor=who, subject=who, sid=sid, object=method)
    notice = Notice(
        user_id=who,
        category=Category.SECURITY,
        template=template,
        event_key=f"factors/{new_id()}",
        channels=(Channel.EMAIL, Channel.IN_APP),
        params={"method": method},
    )
    await notify(session, identity.cipher, notice)
    return await sessions.revoke_others(session, who, sid, "factors_changed")
