"""From a connection to the adapter that speaks for it. Vendors' SDKs are imported when the first account of theirs is
opened, or before a worker polls: each costs 30 MB and a quarter to half a second (calendar-sync.md §6.5)."""

from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urljoin

import httpx

from core.calendar_settings import CalendarSettings
from integrations.calendar.consents import clients
from integrations.calendar.credentials import CalDavCredential, Credential, OAuthCredential
from integrations.calendar.oauth import VENDORS, OAuth, TokenSource
from integrations.calendar.protocol import CalendarError, CalendarProvider, NeedsReauth, ProviderName
from integrations.outbound import Outbound

Keep = Callable[[str], Awaitable[None]]
"""What is done with a refresh token that the provider gave us instead of the former."""


class ProviderOff(CalendarError):
    """Nobody has told us who we are at this provider."""

    code = "calendar_provider_off"


class Providers:
    """Opens adapters. Whoever opens one closes it; `close` is for what they share."""

    def __init__(self, settings: CalendarSettings, http: httpx.AsyncClient) -> None:
        self._settings, self._http = settings, http
        caldav = settings.caldav
        self._outbound = Outbound(plain_http=caldav.plain_http, private=caldav.private)

    async def close(self) -> None:
        """Close what is open."""
        await self._outbound.close()

    def warm(self, names: Iterable[str]) -> None:
        """Import the SDKs of these providers now: a first activity would hold everybody else up."""
        for name in names:
            _adapter(ProviderName(name))

    async def open(
        self, name: ProviderName, credential: Credential, *, zone: str, calendar_id: str | None, keep: Keep
    ) -> CalendarProvider:
        """The adapter for an account. `zone` is its person's; `calendar_id` the calendar of ours, if it is known.
        Raises `NeedsReauth` for a credential that is none for this provider, `ProviderOff`, and for a CalDAV server
        whose calendars are still to be found what `discover` raises."""
        match credential:
            case CalDavCredential() if name is ProviderName.CALDAV:
                return await self._caldav(credential, zone, calendar_id)
            case OAuthCredential() if name in VENDORS:
                settings = self._settings.google if name is ProviderName.GOOGLE else self._settings.microsoft
                tokens = TokenSource(self.oauth(name), credential.refresh_token, keep)
                provider: CalendarProvider = _adapter(name)(settings.api_url, tokens)
                return provider
            case _:
                raise NeedsReauth("there is no credential for this provider")

    def oauth(self, name: ProviderName) -> OAuth:
        """The authorisation server of a vendor. Raises `ProviderOff`."""
        known = clients(self._settings).get(name)
        if known is None:
            raise ProviderOff("this provider is not set up")
        return OAuth(self._http, VENDORS[name], known)

    async def _caldav(self, credential: CalDavCredential, zone: str, calendar_id: str | None) -> CalendarProvider:
        # lxml and the elements of caldav: 0.1 s and 10 MB.
        from integrations.calendar.caldav import CalDavCalendars  # noqa: PLC0415
        from integrations.calendar.caldav_discovery import discover  # noqa: PLC0415

        user, password = credential.username, credential.password
        home = urljoin(calendar_id, "../") if calendar_id else None
        home = home or await discover(self._outbound, credential.url, user, password)
        return CalDavCalendars(self._outbound, home, user, password, zone=zone)


def _adapter(name: ProviderName) -> Callable[..., CalendarProvider]:
    match name:
        case ProviderName.GOOGLE:
            # google-api-python-client: 0.3 s and 30 MB (calendar-sync.md §6.5).
            from integrations.calendar.google import GoogleCalendars  # noqa: PLC0415

            return GoogleCalendars
        case ProviderName.MICROSOFT:
            # msgraph-sdk: 0.5 s and 30 MB.
            from integrations.calendar.microsoft import MicrosoftCalendars  # noqa: PLC0415

            return MicrosoftCalendars
        case ProviderName.CALDAV:
            # lxml and the elements of caldav: 0.1 s and 10 MB.
            from integrations.calendar.caldav import CalDavCalendars  # noqa: PLC0415

            return CalDavCalendars
