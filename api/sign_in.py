"""The ways in, and the one door behind them (identity-and-security.md §4.3).

Whoever has proven who they are (by password, passkey, or an identity elsewhere) comes to `enter`, which alone decides
what they get. A failure is counted before the password is looked at.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from fastapi import Response

from api import attempts, challenges, device_cookies, sessions
from api.answer import Answer, tokens
from api.ceremonies import SIGN_IN, Credential, credential_id
from api.consents import heed_signal
from api.identity import Client, Identity
from api.passwords import HashingBusy
from api.proofs import Proof, Words, prove, prove_passkey
from api.trail import note
from core.errors import Unauthorized
from core.ids import new_id
from domain.auth import truncated_ip
from domain.mfa import MULTIPLE
from domain.password import is_hashable_password, normalize_password
from models.queries import sign_in as door
from models.queries import users
from models.queries.users import Credentials

__all__ = ["Answer", "CredentialsRefused", "enter", "password_matches", "respond", "with_password"]


class CredentialsRefused(Unauthorized):
    """401, the same for an unknown address, a wrong password, an unverified and a blocked account."""

    code = "invalid_credentials"


class FactorRefused(Unauthorized):
    """401, the same for a wrong code, a used one, and a passkey that does not answer this challenge."""

    code = "second_factor_refused"


def respond(answer: Answer) -> Response:
    """The answer over HTTP."""
    response = Response(answer.body, answer.status, media_type="application/json")
    for cookie in answer.cookies:
        response.headers.append("Set-Cookie", cookie)
    return response


async def enter(identity: Identity, client: Client, account: Credentials, amr: Sequence[str]) -> Answer:
    """The door. `account` may sign in and was read before the proof; `amr` are the proofs given (RFC 8176). Who has a
    second factor gets a challenge, unless `mfa` says that both are among the proofs.

    Whoever got in, with all that was asked of them, has a session, is forgiven what was counted, and is known on their
    device. Raises `CredentialsRefused` where that account's sessions were ended meanwhile, or it was closed: nothing
    that revokes can overlook the session that begins here."""
    if account.has_second_factor and MULTIPLE not in amr:
        return Answer(await challenges.open_challenge(identity, client, account, amr), status=202)
    if client.opts_out:
        async with identity.db.sessions.begin() as session:
            await heed_signal(session, identity, client, account.user_id)
    cookie, device = identity.device_cookies.mint()
    raw = sessions.new_token()
    opened = await door.enter(identity.db.reads, _entry(identity, client, account, amr, device, raw))
    if opened is None:
        raise _refused()
    answer = tokens(identity, opened, raw, opened.auth_time)
    return replace(answer, cookies=(*answer.cookies, device_cookies.set_cookie(cookie)))


def _entry(
    identity: Identity, client: Client, account: Credentials, amr: Sequence[str], device: bytes, raw: str
) -> door.Entry:
    auth = identity.settings.auth
    return door.Entry(
        user_id=account.user_id,
        epoch=account.epoch,
        throttle_key=identity.throttle_key(account.email_bidx),
        device=device,
        former_device=identity.device_cookies.read(client.device),
        entry_id=new_id(),
        ip_hmac=identity.trace(client.address),
        request_id=client.request_id,
        session_id=new_id(),
        rt_hash=sessions.token_hash(raw),
        amr=list(amr),
        ip_trunc=truncated_ip(client.address),
        user_agent=client.user_agent,
        in_cookie=client.in_cookie,
        idle=timedelta(days=auth.refresh_idle_days),
        absolute=timedelta(days=auth.cookie_absolute_days if client.in_cookie else auth.refresh_absolute_days),
    )


async def with_password(identity: Identity, client: Client, canonical: str, password: str) -> Answer:
    """An address and its password. Raises `CredentialsRefused`, `TooManyRequests`, `HashingBusy`."""
    network = identity.trace(client.network).hex()
    account_key = identity.blind_index(canonical)
    await identity.limiter.require("login_hourly", network)
    await identity.limiter.require("login_account", f"{network}:{account_key.hex()}")
    account = await users.credentials_by_address(identity.db.reads, account_key)
    if not await password_matches(identity, client, account_key, account, password) or account is None:
        subject = account.user_id if account else None
        async with identity.db.sessions.begin() as session:
            await note(session, identity, client, "auth.login", outcome="refused", actor=None, subject=subject)
        raise _refused()
    if account.has_second_factor:
        await attempts.settle(identity, client, account)
    return await enter(identity, client, account, ("pwd",))


async def with_second_factor(identity: Identity, client: Client, challenge: str, proof: Proof) -> Answer:
    """What `enter` waits for. The attempt is counted first, at the challenge and (a code) at the account.

    Raises `ChallengeRefused`, `ChallengeExhausted`, `FactorRefused`, `TooManyRequests`.
    """
    waiting = await challenges.attempt(identity, challenge)
    account = await users.credentials_by_id(identity.db.reads, waiting.user_id)
    if account is None or not account.may_sign_in or account.epoch != waiting.epoch:
        raise challenges.refused()
    words = await prove(identity, client, account, proof)
    if not words:
        raise FactorRefused("That is wrong, or was used before.")
    await challenges.finish(identity, challenge)
    return await enter(identity, client, account, (*waiting.amr, *words, MULTIPLE))


async def with_passkey(identity: Identity, client: Client, credential: Credential) -> Answer:
    """A passkey alone: what one has, unlocked by what one knows or is, so both factors. Raises `CredentialsRefused`."""
    account = await users.credentials_by_passkey(identity.db.reads, credential_id(credential))
    words: Words = ()
    if account is not None and account.may_sign_in:
        words = await prove_passkey(identity, client, account, credential, SIGN_IN, user_verified=True)
    if account is None or not words:
        raise CredentialsRefused("The passkey was not accepted.")
    return await enter(identity, client, account, (*words, MULTIPLE))


async def password_matches(
    identity: Identity, client: Client, account_key: bytes, account: Credentials | None, password: str
) -> bool:
    """Whether this is the account's password. Counted against the account first, hashed in any case.

    `account_key` is the blind index of the address, also when there is no account. The attempt counts as failed until
    `enter` or `attempts.settle` says otherwise. Raises `TooManyRequests`, `HashingBusy`.
    """
    normalized, stored = normalize_password(password), account.password_hash if account else None
    with identity.passwords.place() as place:
        await attempts.charge(identity, client, account_key, account.user_id if account else None)
        if not is_hashable_password(normalized):
            return False
        verdict = await identity.passwords.verify(stored, normalized, place)
    if not verdict.matches or account is None or not account.may_sign_in:
        return False
    if verdict.outdated and stored is not None:
        await _rehash(identity, account, stored, normalized)
    return True


def _refused() -> CredentialsRefused:
    return CredentialsRefused("The address or the password is wrong, or the address was not confirmed yet.")


async def _rehash(identity: Identity, account: Credentials, outdated: str, normalized: str) -> None:
    """At the next login where there is no time now."""
    with suppress(HashingBusy):
        fresh = await identity.passwords.hash(normalized)
        async with identity.db.sessions.begin() as session:
            await users.rehash_password(session, account.user_id, outdated=outdated, fresh=fresh)
