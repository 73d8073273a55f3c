"""Somebody's three calendars in a running stack: connected through the API as an app and a browser do it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import httpx

from infra.local.launchers import caldav
from infra.local.site import load_secrets
from tests.calendar.load import Place
from tests.calendar_servers import ControlClient, Provider
from tests.faults.places import Dav, Google, Graph, Here, Vendor
from tests.person import Person
from tests.stack import Stack, until

CONNECTIONS: Final = "/integrations/calendar/connections"
TITLE: Final = "Petfolio"
VENDORS: Final[tuple[Provider, ...]] = ("google", "microsoft")
_NAME: Final = b'<propfind xmlns="DAV:"><prop><displayname/><resourcetype/></prop></propfind>'


@dataclass(frozen=True, slots=True)
class Calendars:
    """`places`: here, and each connected calendar, in which people edit. `controls`: the knobs of the two vendors."""

    person: Person
    places: dict[str, Place]
    controls: Mapping[str, ControlClient]

    async def connections(self) -> dict[str, dict[str, Any]]:
        """What the API says of them, by provider."""
        answer = await self.person.call("GET", CONNECTIONS)
        return {each["provider"]: each for each in answer.json()["items"]}

    def renew_token(self, provider: str) -> None:
        """The person's other program signs in again, too."""
        place = self.places[provider]
        assert isinstance(place, Vendor)
        place.headers["Authorization"] = f"Bearer {self.controls[provider].tokens().access}"

    async def sync_now(self) -> None:
        """The person asks for it; nobody has to answer in time."""
        await self.person.call("POST", "/integrations/calendar/sync")

    async def log(self) -> list[dict[str, Any]]:
        """The conflict log."""
        found: list[dict[str, Any]] = []
        page: dict[str, str] = {"limit": "100"}
        while True:
            answer = (await self.person.call("GET", "/integrations/calendar/conflicts", params=page)).json()
            found += answer["items"]
            if answer["next_cursor"] is None:
                return found
            page["cursor"] = answer["next_cursor"]

    async def settled(self, within: float) -> None:
        """Every calendar has been looked at, to the end, by a look that began after now."""

        async def all_done() -> bool:
            answer = await self.person.call("POST", "/integrations/calendar/sync")
            items = answer.json().get("items", [])
            if items and all((each["result"], each["standing"]) == ("done", "ok") for each in items):
                return True
            await asyncio.sleep(0.5)  # people's patience, and the limit of their requests
            return False

        await until(all_done, within=within, what="every calendar was looked at")


@asynccontextmanager
async def three_calendars(stack: Stack, person: Person) -> AsyncIterator[Calendars]:
    """All three of them, connected and there; disconnected afterwards, with the copies there removed."""
    services = (await stack.status())["services"]
    async with AsyncExitStack() as opened:
        server = dav_account(stack)
        dav = await opened.enter_async_context(httpx.AsyncClient(base_url=services["caldav"]["url"], auth=server))
        vendors = await opened.enter_async_context(httpx.AsyncClient(base_url=services["calendars"]["url"], timeout=20))
        await empty(dav, server[0])
        for provider in VENDORS:
            await consent(person, vendors, provider)
        await connect_server(person, str(dav.base_url), *server)
        controls = {
            name: ControlClient(str(vendors.base_url).rstrip("/"), name, account(person, name)) for name in VENDORS
        }
        await _all_active(person)
        tokens = {name: control.tokens().access for name, control in controls.items()}
        places: dict[str, Place] = {
            "here": Here(person),
            "google": await Google.of(vendors, tokens["google"], TITLE),
            "microsoft": await Graph.of(vendors, tokens["microsoft"], TITLE),
            "caldav": Dav(dav, await dav_calendar(dav, server[0])),
        }
        calendars = Calendars(person, places, controls)
        try:
            yield calendars
        finally:
            for each in (await calendars.connections()).values():
                headers = {"If-Match": f'"{each["version"]}"'}
                await person.call("DELETE", f"{CONNECTIONS}/{each['id']}", headers=headers)


async def consent(person: Person, vendors: httpx.AsyncClient, provider: str) -> dict[str, Any]:
    """The app begins, a browser goes to the vendor and clicks, and the app finishes: the connection."""
    begun = await person.call("POST", CONNECTIONS, json={"provider": provider})
    return await finish(person, vendors, begun.json()["authorize_url"], account(person, provider))


def account(person: Person, provider: str) -> str:
    """Whom a vendor knows them as: another address at each."""
    return f"{provider}.{person.email}"


async def finish(person: Person, vendors: httpx.AsyncClient, authorize_url: str, email: str) -> dict[str, Any]:
    """From the address that the app was given to the connection."""
    left = await person.client.get(authorize_url)
    page = left.headers["location"]
    scopes = parse_qs(urlsplit(page).query)["scope"][0].split()
    clicked = await vendors.post(page, data={**dict.fromkeys(scopes, "on"), "email": email, "decision": "allow"})
    cookie = left.headers["set-cookie"].partition(";")[0]
    back = await person.client.get(clicked.headers["location"], headers={"Cookie": cookie})
    (code,) = parse_qs(urlsplit(back.headers["location"]).fragment)["code"]
    made = await person.call("POST", "/integrations/calendar/finish", json={"code": code})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def connect_server(person: Person, url: str, user: str, password: str) -> dict[str, Any]:
    """A CalDAV account, entered by hand."""
    body = {"provider": "caldav", "url": url, "username": user, "password": password}
    made = await person.call("POST", CONNECTIONS, json=body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def dav_account(stack: Stack) -> tuple[str, str]:
    """Whom the CalDAV server of a stack knows."""
    return caldav.USER, load_secrets(stack.data_dir / "secrets.json", ())[caldav.PASSWORD]


async def dav_calendars(dav: httpx.AsyncClient, user: str) -> dict[str, str]:
    """Paths of the person's calendars, with their titles."""
    answer = await dav.request("PROPFIND", f"/{user}/", headers={"Depth": "1"}, content=_NAME)
    found = {}
    for each in ElementTree.fromstring(answer.content).iter("{DAV:}response") if answer.status_code == 207 else ():
        if each.find(".//{urn:ietf:params:xml:ns:caldav}calendar") is not None:
            found[each.findtext("{DAV:}href", "")] = each.findtext(".//{DAV:}displayname", "")
    return found


async def dav_calendar(dav: httpx.AsyncClient, user: str) -> str:
    """The path of the one that Petfolio keeps."""
    return next(path for path, title in (await dav_calendars(dav, user)).items() if title == TITLE)


async def empty(dav: httpx.AsyncClient, user: str) -> None:
    """The server's only person has no calendar that somebody before has left."""
    for path in await dav_calendars(dav, user):
        (await dav.delete(path)).raise_for_status()


async def _all_active(person: Person) -> None:
    async def active() -> bool:
        items = (await person.call("GET", CONNECTIONS)).json()["items"]
        return [each["state"] for each in items] == ["active"] * 3 and all(each["last_ok_at"] for each in items)

    await until(active, within=60, what="all three calendars are there")
