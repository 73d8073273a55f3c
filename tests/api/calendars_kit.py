"""Connected calendars for tests: consents given at the local vendors, and rows as the sync leaves them."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlmodel import col, select

from core.calendar_settings import CalDavSettings, CalendarSettings, GoogleCalendarSettings, MicrosoftCalendarSettings
from core.settings import Settings
from models.calendar_sync import CalendarConnection, CalendarLink
from models.outbox import Outbox
from temporal.contracts import calendar_sync
from tests.api.signing_in import OPEN, Api, Person
from tests.calendar_servers import APPS

PUBLIC_URL: Final = "http://localhost:8000"
CONNECTIONS: Final = "/integrations/calendar/connections"
FINISH: Final = "/integrations/calendar/finish"
PASSWORD: Final = "canary-app-password"
SERVER: Final = {"provider": "caldav", "url": "http://127.0.0.1:9/dav/", "username": "ada", "password": PASSWORD}


def with_calendars(settings: Settings, servers: str) -> Settings:
    """Both vendors on at the local servers, CalDAV on this machine, and no limit in the way."""
    google, microsoft = APPS.google, APPS.microsoft
    calendars = CalendarSettings(
        google=GoogleCalendarSettings(
            client_id=google.client_id,
            client_secret=SecretStr(google.client_secret),
            authorize_url=f"{servers}/o/oauth2/v2/auth",
            token_url=f"{servers}/token",
            revoke_url=f"{servers}/revoke",
            api_url=servers,
        ),
        microsoft=MicrosoftCalendarSettings(
            client_id=microsoft.client_id,
            client_secret=SecretStr(microsoft.client_secret),
            authorize_url=f"{servers}/common/oauth2/v2.0/authorize",
            token_url=f"{servers}/common/oauth2/v2.0/token",
            api_url=servers,
        ),
        caldav=CalDavSettings(plain_http=True, private=True),
    )
    return settings.model_copy(update={"calendars": calendars, "public_url": PUBLIC_URL, "rate_limits": OPEN})


@pytest.fixture(scope="module")
def settings(settings: Settings, calendar_servers: str) -> Settings:
    """Of every process of a module that imports this fixture."""
    return with_calendars(settings, calendar_servers)


@dataclass
class Browser:
    """Somebody's browser: it keeps our cookie, and stands at the vendor's consent page."""

    api: Api
    cookie: str | None = None

    async def open(self, authorize_url: str) -> str:
        """The vendor's address that it is sent to."""
        answer = await self._get(authorize_url)
        assert answer.status_code == 303, answer.text
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer.headers["location"]

    async def consent(self, vendor_url: str, account: str, *, decision: str = "allow", without: str = "") -> str:
        """The address of ours that the vendor sends it back to; `without`: a scope that is not ticked."""
        scopes = dict(parse_qsl(urlsplit(vendor_url).query))["scope"].split()
        ticked = {scope: "on" for scope in scopes if scope != without}
        async with httpx.AsyncClient() as vendor:
            answer = await vendor.post(vendor_url, data={**ticked, "email": account, "decision": decision})
        assert answer.is_redirect, answer.text
        return answer.headers["location"]

    async def come_back(self, url: str) -> dict[str, str]:
        """What stands in the fragment of the app's page."""
        answer = await self._get(url)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(f"{PUBLIC_URL}/")
        return dict(parse_qsl(urlsplit(answer.headers["location"]).fragment))

    async def visit(self, authorize_url: str, account: str, **choices: Any) -> dict[str, str]:
        """There and back."""
        return await self.come_back(await self.consent(await self.open(authorize_url), account, **choices))

    async def _get(self, url: str) -> httpx.Response:
        parts = urlsplit(url)
        headers = {"Cookie": self.cookie} if self.cookie else {}
        return await self.api.http.get(f"{parts.path}?{parts.query}", headers=headers)


async def connect(person: Person, provider: str, account: str, **wish: Any) -> httpx.Response:
    """Somebody connects an account, as the app and the browser do it together."""
    begun = await person.request("POST", CONNECTIONS, {"provider": provider, **wish})
    assert begun.status_code == 200, begun.text
    said = await Browser(person.api).visit(begun.json()["authorize_url"], account)
    return await person.request("POST", FINISH, {"code": said["code"]})


async def connect_server(person: Person, **fields: Any) -> dict[str, Any]:
    """A CalDAV account, connected."""
    answer = await person.request("POST", CONNECTIONS, SERVER | {"username": secrets.token_hex(4)} | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def rows_of(api: Api, connection: dict[str, Any]) -> tuple[CalendarConnection, CalendarLink]:
    """What is stored of it."""
    async with api.identity.db.sessions() as session:
        row = (
            await session.execute(
                select(CalendarConnection, CalendarLink)
                .join(CalendarLink, col(CalendarLink.connection_id) == col(CalendarConnection.id))
                .where(col(CalendarConnection.id) == UUID(connection["id"]))
            )
        ).one()
        return row[0], row[1]


async def change(api: Api, connection: dict[str, Any], **fields: Any) -> None:
    """As the worker leaves them: fields of the link, `state` of the connection."""
    async with api.identity.db.sessions.begin() as session:
        found, link = await rows_of(api, connection)
        for row in (found, link):
            merged = await session.merge(row)
            for name, value in fields.items():
                if name in type(row).model_fields:
                    setattr(merged, name, value)


async def bells(api: Api, connection: dict[str, Any]) -> list[Outbox]:
    """Rings of its calendar that nobody has heard."""
    _, link = await rows_of(api, connection)
    async with api.identity.db.sessions() as session:
        query = select(Outbox).where(
            col(Outbox.aggregate) == calendar_sync.aggregate(link.id), col(Outbox.done_at).is_(None)
        )
        return list((await session.scalars(query)).all())


async def unring(api: Api, connection: dict[str, Any]) -> None:
    """Somebody has heard them."""
    async with api.identity.db.sessions.begin() as session:
        for bell in await bells(api, connection):
            (await session.merge(bell)).done_at = datetime.now(UTC)


async def channel(api: Api, connection: dict[str, Any], **fields: Any) -> dict[str, str]:
    """Its push channel, as the worker makes one; the whole secret, too."""
    _, link = await rows_of(api, connection)
    secret, now = f"{link.id}.{secrets.token_urlsafe(32)}", datetime.now(UTC)
    made = {
        "id": f"{link.id.hex}-{secrets.token_hex(4)}",
        "resource_id": secrets.token_hex(8),
        "secret_hash": hashlib.sha256(secret.encode()).hexdigest(),
        "granted_at": now.isoformat(),
        "expires_at": (now + timedelta(days=7)).isoformat(),
    } | fields
    await change(api, connection, push_channels=[*link.push_channels, made], state="active")
    await unring(api, connection)
    return made | {"secret": secret}
