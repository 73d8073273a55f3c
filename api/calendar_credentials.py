"""CalDAV accounts as people enter them: checked before anything is kept, tried by the worker alone."""

import asyncio
from dataclasses import replace
from typing import Final

from api.calendar_connections import Account
from api.reminders import invalid
from api.schemas.calendar_connections import ConnectionIn, ReauthoriseIn
from api.services import Services
from integrations.calendar.credentials import COLUMN, CalDavCredential, from_json
from integrations.calendar.protocol import ProviderName
from integrations.outbound import AddressRefused, Outbound, Target
from models.calendar_sync import CalendarConnection

_CHECK_SECONDS: Final = 2.0
"""How long a name may take to be resolved, once."""


async def entered(outbound: Outbound, body: ConnectionIn) -> tuple[Account, CalDavCredential]:
    """The account of a request. Raises `Invalid` for what is missing, and for an address that we do not call."""
    given = {"url": body.url, "username": body.username, "password": body.password}
    for field, value in given.items():
        if value is None:
            raise invalid(field, "missing", "a CalDAV server takes url, username and password")
    credential = CalDavCredential(body.url or "", body.username or "", body.password or "")
    target = await _target(outbound, credential.url)
    usual = {"https": 443, "http": 80}[target.scheme]
    server = target.host if target.port == usual else f"{target.host}:{target.port}"
    # Servers do not tell `Ada@…` from `ada@…`; a second calendar for the same account would hold everything twice.
    key = f"caldav:{server}:{credential.username.casefold()}"
    name = credential.username
    return Account(ProviderName.CALDAV, key, name if "@" in name else f"{name}@{server}"), credential


async def with_password(services: Services, connection: CalendarConnection, body: ReauthoriseIn) -> CalDavCredential:
    """The server and account of the connection, with the password of the request. Raises `Invalid`."""
    if body.password is None:
        raise invalid("password", "missing", "a CalDAV server takes a new password")
    document = await services.cipher.open(COLUMN, connection.id, connection.credential_ct or "")
    known = from_json(document)
    if not isinstance(known, CalDavCredential):
        raise LookupError("a CalDAV connection without the credential of one")
    return replace(known, password=body.password)


def nothing_entered(body: ConnectionIn | ReauthoriseIn) -> None:
    """Whose consent is asked for in a browser takes no password here: it would be the account's own. Raises
    `Invalid`."""
    for field in ("url", "username", "password"):
        if getattr(body, field, None) is not None:
            raise invalid(field, "not_for_this_provider", "this provider asks in a browser")


async def _target(outbound: Outbound, url: str) -> Target:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await outbound.check(url)
    except AddressRefused as refused:
        raise invalid("url", refused.problem_code, refused.detail) from None
    except TimeoutError:
        raise invalid("url", AddressRefused.code, "this name has no address") from None
