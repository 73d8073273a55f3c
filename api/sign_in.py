"""The ways in, and the one door behind them (identity-and-security.md §4.3).

Whoever has proven who they are (by password, passkey, or an identity elsewhere) comes to `enter`, which alone decides
what they get. A failure is counted before the password is looked at.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from fastapi import Response

from api import device_cookies, sessions
from api.identity import Client, Identity
from api.passwords import HashingBusy
from api.trail import note
from core.errors import TooManyRequests, Unauthorized
from domain.auth import Wait
from domain.password import is_hashable_password, normalize_password
from models.queries import device_cookies as known_devices
from models.queries import throttle, users
from models.queries.users import Credentials


class CredentialsRefused(Unauthorized):
    """401, the same for an unknown address, a wrong password, an unverified and a blocked account."""

    code = "invalid_credentials"


@dataclass(frozen=True, slots=True)
class Answer:
    """What signing in answers: 200 with tokens, and the cookie by which this device is known from now on."""

    body: bytes
    status: int = 200
    device: str | None = None


def respond(_: Client, answer: Answer) -> Response:
    """The answer over HTTP, in the form that this client wants its tokens in."""
    response = Response(answer.body, answer.status, media_type="application/json")
    if answer.device is not None:
        device_cookies.put(response, answer.device)
    return response


async def enter(identity: Identity, client: Client, account: Credentials, amr: Sequence[str]) -> Answer:
    """The door. `account` may sign in and was read before the proof; `amr` are the proofs given (RFC 8176)."""
    body = await sessions.open_session(identity, client, account, amr)
    return Answer(body, device=await _know(identity, client, account))


async def _know(identity: Identity, client: Client, account: Credentials) -> str:
    """Somebody got in, with all that was asked of them: what was counted is forgiven, and their device is known."""
    cookie, id_hash = identity.device_cookies.mint()
    former = identity.device_cookies.read(client.device)
    async with identity.db.sessions.begin() as session:
        await throttle.forgive(session, identity.throttle_key(account.email_bidx))
        await known_devices.remember(session, id_hash, account.user_id, device_cookies.LIFETIME, former=former)
    return cookie


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
        raise CredentialsRefused("The address or the password is wrong, or the address was not confirmed yet.")
    return await enter(identity, client, account, ("pwd",))


async def password_matches(
    identity: Identity, client: Client, account_key: bytes, account: Credentials | None, password: str
) -> bool:
    """Whether this is the account's password. Counted against the account first, hashed in any case.

    `account_key` is the blind index of the address, also when there is no account. The attempt counts as failed until
    `throttle.forgive`: whoever asks for a second factor forgives only then. Raises `TooManyRequests`, `HashingBusy`.
    """
    device, user_id = identity.device_cookies.read(client.device), account.user_id if account else None
    normalized, stored = normalize_password(password), account.password_hash if account else None
    with identity.passwords.place() as place:
        async with identity.db.sessions.begin() as session:
            key = identity.throttle_key(account_key)
            wait = await throttle.charge_attempt(session, key, device=device, user_id=user_id)
        if wait is not None:
            raise _too_many(wait)
        if not is_hashable_password(normalized):
            return False
        verdict = await identity.passwords.verify(stored, normalized, place)
    if not verdict.matches or account is None or not account.may_sign_in:
        return False
    if verdict.outdated and stored is not None:
        await _rehash(identity, account, stored, normalized)
    return True


async def _rehash(identity: Identity, account: Credentials, outdated: str, normalized: str) -> None:
    """At the next login where there is no time now."""
    with suppress(HashingBusy):
        fresh = await identity.passwords.hash(normalized)
        async with identity.db.sessions.begin() as session:
            await users.rehash_password(session, account.user_id, outdated=outdated, fresh=fresh)


def _too_many(wait: Wait) -> TooManyRequests:
    if wait.seconds is None:
        detail = "Too many failures in a row. Ask for a mail to set a new password: `POST /auth/password/forgot`."
        return TooManyRequests(detail, code="password_locked")
    return TooManyRequests("Too many attempts on this account.", retry_after=wait.seconds)
