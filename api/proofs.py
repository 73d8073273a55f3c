"""Proving a second factor: the one place where codes and assertions are compared, for signing in and for stepping up.

Each function answers the words of RFC 8176 that the proof earns; none means that it is refused. A guess at a code is
counted against the account before it is compared (§2.5), and every outcome is in the audit log.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers.structs import CredentialDeviceType

from api import attempts, ceremonies
from api.ceremonies import Credential
from api.identity import Client, Identity
from api.mail import MailTemplate, Notice, notify
from api.trail import note
from core.db import raw_connection
from domain.mfa import Method, is_copied, matching_step, normalize_recovery_code
from domain.notification import Category, Channel
from models.mfa import Passkey
from models.queries import mfa, passkeys, throttle
from models.queries.clock import database_now
from models.queries.users import Credentials

TOTP_SECRET = "mfa_totp.secret_ct"  # noqa: S105 - a column
COPIED = "passkey_copied"

Words = tuple[str, ...]
_Check = Callable[[AsyncSession], Awaitable[Words]]


@dataclass(frozen=True, slots=True)
class TotpCode:
    """Six digits of an authenticator app."""

    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """A code on paper, as it was typed."""

    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a passkey signed, for a challenge of this scope."""

    credential: Credential = field(repr=False)
    scope: str


Proof = TotpCode | RecoveryCode | Assertion


async def prove(identity: Identity, client: Client, account: Credentials, proof: Proof) -> Words:
    """Any of them. Raises `TooManyRequests`."""
    match proof:
        case TotpCode(code):
            return await prove_totp(identity, client, account, code)
        case RecoveryCode(code):
            return await prove_recovery_code(identity, client, account, code)
        case Assertion(credential, scope):
            return await prove_passkey(identity, client, account, credential, scope)


async def prove_totp(identity: Identity, client: Client, account: Credentials, code: str) -> Words:
    """`otp`, if this is a code of the account's app that was not used yet: each time step counts once, whichever
    process or challenge it is sent to (I4). Raises `TooManyRequests`."""

    async def check(session: AsyncSession) -> Words:
        totp = await mfa.totp(session, account.user_id)
        if totp is None or not totp.confirmed:
            return ()
        secret = await identity.cipher.open(TOTP_SECRET, account.user_id, totp.secret_ct)
        step = matching_step(secret, code, totp.now)
        return ("otp",) if step is not None and await mfa.spend_step(session, account.user_id, step) else ()

    await attempts.charge(identity, client, account.email_bidx, account.user_id)
    return await _tried(identity, client, account, Method.TOTP, check)


async def prove_recovery_code(identity: Identity, client: Client, account: Credentials, code: str) -> Words:
    """`otp`, if this is an unused code of the account's present batch; its owner is told. Raises `TooManyRequests`."""

    async def check(session: AsyncSession) -> Words:
        mac = identity.recovery_mac(account.user_id, normalize_recovery_code(code))
        code_id = await mfa.spend_recovery_code(session, account.user_id, mac)
        if code_id is None:
            return ()
        left = await mfa.recovery_codes_left(session, account.user_id)
        notice = Notice(
            user_id=account.user_id,
            category=Category.SECURITY,
            template=MailTemplate.RECOVERY_CODE_USED,
            event_key=f"recovery-code/{code_id}",
            channels=(Channel.EMAIL, Channel.IN_APP),
            params={"left": left},
        )
        await notify(session, identity.cipher, notice)
        return ("otp",)

    await attempts.charge(identity, client, account.email_bidx, account.user_id)
    return await _tried(identity, client, account, Method.RECOVERY_CODE, check)


async def prove_passkey(
    identity: Identity,
    client: Client,
    account: Credentials,
    credential: Credential,
    scope: str,
    *,
    user_verified: bool = False,
) -> Words:
    """`hwk`, or `swk` for a passkey that can be on several devices, if one of the account's signed an unused challenge
    of this scope (`api/ceremonies.py`). With `user_verified` it must also have checked who holds it (a PIN, a finger),
    and must name its owner. A signature cannot be guessed, so nothing is counted against the account.
    """
    challenge = await ceremonies.spend_challenge(identity, scope, credential)

    async def check(session: AsyncSession) -> Words:
        handle = ceremonies.user_handle(credential)
        named = handle == account.user_id.bytes or (handle is None and not user_verified)
        found = ceremonies.credential_id(credential)
        passkey = await passkeys.lock_by_credential(session, account.user_id, found)
        if challenge is None or passkey is None or not named:
            return ()
        seen = ceremonies.verified_assertion(identity, challenge, credential, passkey, user_verified=user_verified)
        if seen is None:
            return ()
        await _used(session, identity, client, passkey, seen)
        return ("swk",) if seen.credential_device_type is CredentialDeviceType.MULTI_DEVICE else ("hwk",)

    return await _tried(identity, client, account, Method.PASSKEY, check)


async def _tried(identity: Identity, client: Client, account: Credentials, method: Method, check: _Check) -> Words:
    """Run the check; what it spends, its entry in the log and the pardon for earlier failures are one transaction."""
    who = account.user_id
    async with identity.db.sessions.begin() as session:
        words = await check(session)
        if words:
            key, device = identity.throttle_key(account.email_bidx), identity.device_cookies.read(client.device)
            await throttle.forgive(await raw_connection(session), key, device=device, user_id=who)
        outcome, actor = ("ok", who) if words else ("refused", None)
        await note(session, identity, client, "auth.factor", outcome=outcome, actor=actor, subject=who, object=method)
    return words


async def _used(
    session: AsyncSession, identity: Identity, client: Client, passkey: Passkey, seen: VerifiedAuthentication
) -> None:
    """Keep what the authenticator says of itself. A counter that did not go up is a sign of a copy and no proof: its
    owner is told."""
    if is_copied(passkey.sign_count, seen.new_sign_count):
        who, action, which = passkey.user_id, "auth.passkey_counter", f"passkey:{passkey.id}"
        await note(session, identity, client, action, outcome="warned", actor=who, subject=who, object=which)
        notice = Notice(
            user_id=who,
            category=Category.SECURITY,
            template=COPIED,
            event_key=f"passkey/{passkey.id}/counter/{seen.new_sign_count}",
            channels=(Channel.IN_APP,),
            params={"passkey_id": str(passkey.id)},
        )
        await notify(session, identity.cipher, notice)
    passkey.sign_count = max(passkey.sign_count, seen.new_sign_count)
    passkey.backed_up = seen.credential_backed_up
    passkey.last_used_at = await database_now(session)
