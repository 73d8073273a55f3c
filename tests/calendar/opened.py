"""The same accounts as workers open them: from the sealed credential, through the factory, with tokens of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from activities.calendar_open import Calendars
from core.calendar_settings import (
    CalDavSettings,
    CalendarSettings,
    GoogleCalendarSettings,
    MicrosoftCalendarSettings,
)
from core.crypto import Subject
from integrations.calendar import credentials
from integrations.calendar.credentials import CalDavCredential, Credential, OAuthCredential
from integrations.calendar.factory import Providers
from integrations.identity.http import client
from tests.calendar.accounts import Account
from tests.calendar_servers import ControlClient
from tests.contracts.calendar_vendors import registered

_SETTINGS = {"google": GoogleCalendarSettings, "microsoft": MicrosoftCalendarSettings}


async def credential_of(account: Account) -> Credential:
    """What its person gave us. It is in the rows from now on."""
    if account.is_vendor:
        given: Credential = OAuthCredential(account.control.tokens().refresh, "", datetime.fromtimestamp(0, UTC))
    else:
        known = account.backend._account  # type: ignore[attr-defined]
        given = CalDavCredential(known.url, known.user, known.password)
    home = account.home
    person = Subject.user(home.home.user_id)
    sealed = await home.home.cipher.seal(person, credentials.COLUMN, home.connection_id, credentials.to_json(given))
    await home.home.execute(
        "UPDATE calendar_connections SET credential_ct = :sealed WHERE id = :id", sealed=sealed, id=home.connection_id
    )
    return given


@asynccontextmanager
async def calendars_of(account: Account) -> AsyncIterator[Calendars]:
    """What a worker opens them with."""
    async with client() as http:
        providers = Providers(_settings(account), http)
        calendars = Calendars(account.home.db.sessions, account.home.home.cipher, providers)
        yield calendars
        await calendars.close()
        await providers.close()


def _settings(account: Account) -> CalendarSettings:
    if not account.is_vendor:
        return CalendarSettings(caldav=CalDavSettings(plain_http=True, private=True))
    control: ControlClient = account.control
    us = registered(control)
    known = _SETTINGS[control.provider](
        client_id=us.client_id,
        client_secret=us.client_secret,  # type: ignore[arg-type]
        authorize_url=us.authorize_url,
        token_url=us.token_url,
        api_url=control.url,
    )
    return CalendarSettings(**{control.provider: known})  # type: ignore[arg-type]
