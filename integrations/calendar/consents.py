"""The calendar vendors of the settings that give consents, for both composition roots."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from core.calendar_settings import CalendarSettings, GoogleCalendarSettings, MicrosoftCalendarSettings
from integrations.calendar.oauth import VENDORS, OAuth, OAuthClient
from integrations.calendar.protocol import ProviderName
from integrations.identity.http import client

Consents = Mapping[ProviderName, OAuth]
"""The authorisation servers of those that are on."""


def clients(settings: CalendarSettings) -> Mapping[ProviderName, OAuthClient]:
    """Who we are to those that are on."""
    found = {
        ProviderName.GOOGLE: _client(settings.google, settings.google.revoke_url),
        ProviderName.MICROSOFT: _client(settings.microsoft, None),
    }
    return {name: each for name, each in found.items() if each is not None}


@asynccontextmanager
async def open_consents(settings: CalendarSettings) -> AsyncIterator[Consents]:
    """Connects when somebody consents."""
    known = clients(settings)
    if not known:
        yield {}  # a client costs a tenth of a second: it reads the certificates of the world
        return
    async with client() as http:
        yield {name: OAuth(http, VENDORS[name], each) for name, each in known.items()}


def _client(settings: GoogleCalendarSettings | MicrosoftCalendarSettings, revoke_url: str | None) -> OAuthClient | None:
    if settings.client_id is None or settings.client_secret is None:
        return None
    secret = settings.client_secret.get_secret_value()
    return OAuthClient(settings.client_id, secret, settings.authorize_url, settings.token_url, revoke_url)
