"""New passwords: by a mailed link for whoever forgot theirs, and by whoever is signed in (§2.6, ASVS 6.4.3)."""

from sqlalchemy.ext.asyncio import AsyncSession

from api import password_policy
from api.auth import lock_account, mark_revoked
from api.identity import Client, Identity
from api.mail import MailTemplate, Notice, notify, send_mail
from api.mailed_links import LinkRefused, even_pace, spend, token_hash
from api.password_policy import NewPassword
from api.step_up import require_proof
from api.tokens import Caller
from api.trail import note
from core.db import raw_connection
from core.ids import new_id
from domain.mfa import has_second_factor
from domain.notification import Category, Channel
from domain.password import Weakness, refuse
from models.queries import device_cookies, feedback, mfa, passwords, sessions, takeover, throttle, users
from models.queries.clock import database_now
from models.session import MailTokenKind
from models.user import User, UserState


async def forgot(identity: Identity, client: Client, canonical: str) -> None:
    """Mail a link to the owner of the address, if it has one. The caller cannot see whether it has, nor that too many
    were asked for."""
    email_bidx = identity.blind_index(canonical)
    async with even_pace():
        network = await identity.limiter.hit("reset_network", identity.trace(client.network).hex())
        if not network.allowed or not (await identity.limiter.hit("reset_mails", email_bidx.hex())).allowed:
            return
        async with identity.db.sessions.begin() as session:
            user = await users.lock_by_address(session, email_bidx)
            active = user is not None and user.state == UserState.ACTIVE
            subject, outcome = user.id if user else None, "sent" if active else "refused"
            await note(session, identity, client, "password.forgot", outcome=outcome, actor=None, subject=subject)
            if user is not None and active:
                await send_mail(session, user.id, MailTemplate.PASSWORD_RESET)


async def reset(identity: Identity, client: Client, token: str, password: str) -> None:
    """Set the password of the account that the link was mailed to, and end all its sessions. It signs nobody in, and
    second factors stay, unless nobody had confirmed the address: what was set up then is not its owner's. Raises
    `LinkRefused`, `PasswordRefused` (the link stays good), `HashingBusy`."""
    user_id = await users.mail_token_owner(identity.db.reads, token_hash(token), MailTokenKind.RESET)
    if user_id is None:
        raise LinkRefused
    new = await password_policy.accept(identity, client, password, await password_policy.owner_of(identity, user_id))
    async with identity.db.sessions.begin() as session:
        user = await spend(session, token, MailTokenKind.RESET)
        if user.state != UserState.ACTIVE:
            raise LinkRefused
        if user.email_verified_at is None:
            await takeover.drop_credentials(session, user.id)  # whoever claimed the address may not own its mailbox
            user.email_verified_at = await database_now(session)
        await feedback.lift(session, user.id)  # the mail with the link arrived
        await replace(session, identity, client, user, new, "password.reset")
        ended = await sessions.revoke_all(session, user.id, "password_reset")
    await mark_revoked(identity, user_id, ended)


async def change(identity: Identity, client: Client, caller: Caller, password: str, current: str | None) -> None:
    """Set the caller's password and end their other sessions. `current` is the password so far, or None after a login
    of the last minutes. Raises what `require_proof` and `lock_account` do, `PasswordRefused`, `TooManyRequests`."""
    await identity.limiter.require("credentials", str(caller.user_id))
    await require_proof(identity, client, caller, current)
    owner = await password_policy.owner_of(identity, caller.user_id)
    new = await password_policy.accept(identity, client, password, owner)
    async with identity.db.sessions.begin() as session:
        user, _ = await lock_account(session, caller)
        await replace(session, identity, client, user, new, "password.change")
        ended = await sessions.revoke_others(session, user.id, caller.session_id, "password_change")
    await mark_revoked(identity, caller.user_id, ended)


async def replace(
    session: AsyncSession, identity: Identity, client: Client, user: User, new: NewPassword, action: str
) -> None:
    """In the transaction that ends sessions: the new password of a locked account, a clean slate, and word to its
    owner. Raises `PasswordRefused` for one that would be alone and is too short: the factor beside it went while it was
    hashed."""
    if not new.enough_alone and not has_second_factor(await mfa.methods(session, user.id)):
        refuse([Weakness.TOO_SHORT])
    await throttle.forgive(await raw_connection(session), identity.throttle_key(user.email_bidx))
    await device_cookies.forget_all(session, user.id)
    await passwords.replace(session, user, new.hash, enough_alone=new.enough_alone)
    await note(session, identity, client, action, actor=user.id, subject=user.id)
    notice = Notice(
        user_id=user.id,
        category=Category.SECURITY,
        template=MailTemplate.PASSWORD_CHANGED,
        event_key=f"password/{new_id()}",
        channels=(Channel.EMAIL, Channel.IN_APP),
    )
    await notify(session, identity.cipher, notice)
