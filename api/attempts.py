"""Attempts on an account by password or code: each counts as failed before it is looked at (§2.5)."""

from uuid import UUID

from api.identity import Client, Identity
from core.errors import TooManyRequests
from models.queries import throttle
from models.queries.users import Credentials


async def charge(identity: Identity, client: Client, account_key: bytes, user_id: UUID | None) -> None:
    """Count one. `account_key` is the blind index of the address, also where there is no account. A device known to
    this user does not wait. Raises `TooManyRequests`, and counts nothing then."""
    device = identity.device_cookies.read(client.device)
    key = identity.throttle_key(account_key)
    async with identity.db.reads.transaction() as connection:
        wait = await throttle.charge_attempt(connection, key, device=device, user_id=user_id)
    if wait is None:
        return
    if wait.seconds is None:
        detail = "Too many failures in a row. Ask for a mail to set a new password: `POST /auth/password/forgot`."
        raise TooManyRequests(detail, code="password_locked")
    raise TooManyRequests("Too many attempts on this account.", retry_after=wait.seconds)


async def settle(identity: Identity, client: Client, account: Credentials) -> None:
    """The password was right: nothing is held against the account and this device any more, or, where a second factor
    is asked for as well, this attempt is not."""
    take_back = throttle.undo if account.has_second_factor else throttle.forgive
    key, device = identity.throttle_key(account.email_bidx), identity.device_cookies.read(client.device)
    async with identity.db.reads.transaction() as connection:
        await take_back(connection, key, device=device, user_id=account.user_id)
