"""Where one person edits events: in Petfolio, and at three providers, each through its own public protocol.

Every change is made under the condition that the event is still as it was seen, as careful programs do it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import httpx
from icalendar import Calendar, Event

from tests.calendar.edits import Texts
from tests.calendar.load import Found
from tests.person import Person

START, END, ZONE = "2026-12-03T09:00:00", "2026-12-03T10:00:00", "Europe/Berlin"
_TAKEN = frozenset({404, 409, 410, 412})
"""Somebody was quicker."""
_ETAGS = b'<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'


@dataclass(frozen=True, slots=True)
class Here:
    """Petfolio's API."""

    person: Person

    async def events(self) -> Sequence[Found]:
        """See `Place`."""
        found: list[Found] = []
        page: dict[str, str] = {"limit": "100"}
        while True:
            answer = (await self.person.call("GET", "/appointments", params=page)).json()
            found += [_here(each) for each in answer["items"]]
            if answer["next_cursor"] is None:
                return found
            page["cursor"] = answer["next_cursor"]

    async def create(self, title: str) -> None:
        """See `Place`."""
        body = {"title": title, "starts_at": START, "ends_at": END, "tzid": ZONE}
        (await self.person.call("POST", "/appointments", json=body)).raise_for_status()

    async def edit(self, seen: Found, name: str, text: str) -> bool:
        """See `Place`."""
        headers = {"If-Match": seen.etag}
        return _done(await self.person.call("PATCH", f"/appointments/{seen.id}", json={name: text}, headers=headers))

    async def delete(self, seen: Found) -> bool:
        """See `Place`."""
        return _done(await self.person.call("DELETE", f"/appointments/{seen.id}", headers={"If-Match": seen.etag}))


@dataclass(frozen=True, slots=True)
class Vendor:
    """A JSON API: `events` of the calendar are at `url`, single ones below it."""

    http: httpx.AsyncClient
    headers: dict[str, str]
    url: str

    async def create(self, title: str) -> None:
        """See `Place`."""
        times = {name: {"dateTime": at, "timeZone": ZONE} for name, at in (("start", START), ("end", END))}
        body = self.body("title", title) | times
        (await self.http.post(self.url, json=body, headers=self.headers)).raise_for_status()

    async def edit(self, seen: Found, name: str, text: str) -> bool:
        """See `Place`."""
        headers = self.headers | {"If-Match": seen.etag}
        return _done(await self.http.patch(f"{self.url}/{seen.id}", json=self.body(name, text), headers=headers))

    async def delete(self, seen: Found) -> bool:
        """See `Place`."""
        return _done(await self.http.delete(f"{self.url}/{seen.id}", headers=self.headers | {"If-Match": seen.etag}))

    def body(self, name: str, text: str) -> dict[str, Any]:
        """What the vendor calls a field."""
        raise NotImplementedError

    async def pages(self, **query: str) -> list[dict[str, Any]]:
        """All that is listed."""
        answer = await self.http.get(self.url, params=query, headers=self.headers)
        answer.raise_for_status()
        listed = answer.json()
        assert not {"nextPageToken", "@odata.nextLink"} & listed.keys()
        found: list[dict[str, Any]] = listed.get("items", listed.get("value"))
        return found


@dataclass(frozen=True, slots=True)
class Google(Vendor):
    """Google Calendar v3."""

    @classmethod
    async def of(cls, http: httpx.AsyncClient, token: str, title: str) -> "Google":
        """The calendar of this title."""
        headers = {"Authorization": f"Bearer {token}"}
        listed = (await http.get("/calendar/v3/users/me/calendarList", headers=headers)).json()["items"]
        (found,) = (each["id"] for each in listed if each["summary"] == title)
        return cls(http, headers, f"/calendar/v3/calendars/{found}/events")

    async def events(self) -> Sequence[Found]:
        """See `Place`."""
        names = {"title": "summary", "location": "location", "notes": "description"}
        return [
            Found(each["id"], each["etag"], {name: each.get(key, "") for name, key in names.items()})
            for each in await self.pages(maxResults="2500")
        ]

    def body(self, name: str, text: str) -> dict[str, Any]:
        """See `Vendor`."""
        return {{"title": "summary", "location": "location", "notes": "description"}[name]: text}


@dataclass(frozen=True, slots=True)
class Graph(Vendor):
    """Microsoft Graph v1.0."""

    @classmethod
    async def of(cls, http: httpx.AsyncClient, token: str, title: str) -> "Graph":
        """The calendar of this title."""
        headers = {"Authorization": f"Bearer {token}", "Prefer": 'outlook.body-content-type="text"'}
        listed = (await http.get("/v1.0/me/calendars?$top=100", headers=headers)).json()["value"]
        (found,) = (each["id"] for each in listed if each["name"] == title)
        return cls(http, headers, f"/v1.0/me/calendars/{found}/events")

    async def events(self) -> Sequence[Found]:
        """See `Place`."""
        return [Found(each["id"], each["@odata.etag"], _graph(each)) for each in await self.pages(**{"$top": "999"})]

    def body(self, name: str, text: str) -> dict[str, Any]:
        """See `Vendor`."""
        forms: dict[str, dict[str, Any]] = {
            "title": {"subject": text},
            "location": {"location": {"displayName": text}},
            "notes": {"body": {"contentType": "text", "content": text}},
        }
        return forms[name]


@dataclass(frozen=True, slots=True)
class Dav:
    """A calendar on a CalDAV server; `path` ends with a slash."""

    http: httpx.AsyncClient
    path: str

    async def events(self) -> Sequence[Found]:
        """See `Place`."""
        answer = await self.http.request("PROPFIND", self.path, headers={"Depth": "1"}, content=_ETAGS)
        answer.raise_for_status()
        hrefs = [each.text or "" for each in ElementTree.fromstring(answer.content).iter("{DAV:}href")]
        read = [await self.http.get(href) for href in hrefs if href.endswith(".ics")]
        return [_dav(each) for each in read if each.status_code == 200]

    async def create(self, title: str) -> None:
        """See `Place`."""
        uid = uuid4()
        when = [f"{name};TZID={ZONE}:{at.replace('-', '').replace(':', '')}" for name, at in _TIMES]
        event = ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261101T080000Z", *when, f"SUMMARY:{title}", "END:VEVENT"]
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Somebody//EN", *event, "END:VCALENDAR", ""]
        headers = {"Content-Type": "text/calendar", "If-None-Match": "*"}
        (await self.http.put(f"{self.path}{uid}.ics", content="\r\n".join(lines), headers=headers)).raise_for_status()

    async def edit(self, seen: Found, name: str, text: str) -> bool:
        """See `Place`."""
        before = await self.http.get(seen.id)
        if before.headers.get("ETag") != seen.etag:
            return False
        resource = Calendar.from_ical(before.text)
        event = next(iter(resource.walk("VEVENT")))
        event.pop(_NAMES[name], None)
        event.add(_NAMES[name], text)
        headers = {"Content-Type": "text/calendar", "If-Match": seen.etag}
        return _done(await self.http.put(seen.id, content=resource.to_ical(), headers=headers))

    async def delete(self, seen: Found) -> bool:
        """See `Place`."""
        return _done(await self.http.delete(seen.id, headers={"If-Match": seen.etag}))


_TIMES = (("DTSTART", START), ("DTEND", END))
_NAMES = {"title": "SUMMARY", "location": "LOCATION", "notes": "DESCRIPTION"}


def _done(answer: httpx.Response) -> bool:
    if answer.status_code in _TAKEN:
        return False
    answer.raise_for_status()
    return True


def _here(each: dict[str, Any]) -> Found:
    texts = {"title": each["title"], "location": each["location"] or "", "notes": each["notes"] or ""}
    return Found(each["id"], f'"{each["version"]}"', texts)


def _graph(each: dict[str, Any]) -> Texts:
    texts = {"title": each["subject"] or "", "location": (each.get("location") or {}).get("displayName") or ""}
    return texts | {"notes": ((each.get("body") or {}).get("content") or "").replace("\r\n", "\n").strip()}


def _dav(answer: httpx.Response) -> Found:
    event: Event = next(iter(Calendar.from_ical(answer.text).walk("VEVENT")))
    texts = {name: str(event.get(key, "")) for name, key in _NAMES.items()}
    return Found(answer.url.path, answer.headers["ETag"], texts)
