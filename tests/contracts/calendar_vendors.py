"""What the Google and the Graph backends of the calendar contract share: an account on the local calendar servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.error import HTTPError

from integrations.calendar.oauth import VENDORS, OAuth, OAuthClient, TokenSource
from integrations.calendar.protocol import CalendarProvider, ProviderName
from integrations.identity.http import client
from tests.calendar_servers import APPS, ControlClient

PAGE_SIZE = 3
_WRITES = ("POST", "PUT", "PATCH", "DELETE")
PATHS = {
    "google": ("/o/oauth2/v2/auth", "/token"),
    "microsoft": ("/common/oauth2/v2.0/authorize", "/common/oauth2/v2.0/token"),
}


def registered(control: ControlClient) -> OAuthClient:
    """Petfolio, as these servers know it."""
    app, (authorize, token) = APPS.of(control.provider), PATHS[control.provider]
    revoke = f"{control.url}/revoke" if control.provider == "google" else None
    return OAuthClient(
        app.client_id, app.client_secret, f"{control.url}{authorize}", f"{control.url}{token}", revoke_url=revoke
    )


@asynccontextmanager
async def tokens(control: ControlClient, scopes: str | None = None) -> AsyncIterator[TokenSource]:
    """The access of somebody who consented."""

    async def keep(_: str) -> None:
        """A test forgets it with the account."""

    async with client() as http:
        oauth = OAuth(http, VENDORS[ProviderName(control.provider)], registered(control))
        yield TokenSource(oauth, control.tokens(scopes).refresh, keep)


class Vendor:
    """The part of a `Backend` that is the same for both."""

    def __init__(self, provider: CalendarProvider, control: ControlClient) -> None:
        self.provider, self.control = provider, control
        self.calendar_id = control.calendar()

    async def remove(self, remote_id: str) -> None:
        self.control.remote_delete(remote_id, self.calendar_id)

    async def copy(self, remote_id: str) -> str:
        return self.control.remote_copy(remote_id, self.calendar_id)

    async def drop_calendar(self) -> None:
        self.control.drop_calendar(self.calendar_id)

    async def expire(self) -> None:
        self.control.expire_cursors(self.calendar_id)

    async def lose_answer(self, *, after: bool) -> None:
        self.control.fault(method="POST|PATCH|DELETE", path="/events", when="after" if after else "before")

    async def throttle(self, retry_after: int) -> None:
        self.control.throttle(retry_after=retry_after)

    async def revoke(self) -> None:
        self.control.grant("revoked")

    async def mangle(self) -> None:
        self.control.shape("normalise", calendar=self.calendar_id, times=None)

    async def writes(self) -> int:
        return sum(each["method"] in _WRITES and "/events" in each["path"] for each in self.control.log())

    def leave_out(self, remote_id: str, occurrence: str) -> None:
        """Somebody deletes an occurrence, unless it is gone already."""
        with suppress(HTTPError):
            self.control.remote_delete(remote_id, self.calendar_id, occurrence=occurrence)
