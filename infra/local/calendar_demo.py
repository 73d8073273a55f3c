"""Somebody's calendars as the calendar demo sees them: consents in a browser, and three calendars in their own words.

Nothing here asks Petfolio's database: what is shown is what Google, Outlook and the CalDAV server would show.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx
from lxml import etree

from infra.local.demo import Visitor
from infra.local.errors import StackError

CONNECTIONS: Final = "/integrations/calendar/connections"
FINISH: Final = "/integrations/calendar/finish"
TITLE: Final = "Petfolio"
_DAV: Final = {"D": "DAV:"}
_SUMMARY: Final = re.compile(r"^SUMMARY:([^\r\n]*)", re.MULTILINE)
_COMMA: Final = "\\,"
"""A comma in a text of iCalendar (RFC 5545 §3.3.11)."""


class Shown(Protocol):
    """A calendar at a provider, as its person sees it there."""

    @property
    def name(self) -> str:
        """What people call it."""

    def titles(self) -> list[str]:
        """Of the events in the calendar that Petfolio keeps; empty while there is none."""

    def rename(self, before: str, after: str) -> None:
        """Its person changes the title of the event."""


@dataclass(frozen=True, slots=True)
class VendorCalendar:
    """Google's, or Outlook's: what their own pages would show and do, through `/_control/` of the local servers."""

    http: httpx.Client
    name: str
    provider: str
    account: str

    def titles(self) -> list[str]:
        """See `Shown`."""
        return [str(event["body"].get("summary") or event["body"].get("subject")) for event in self._events()]

    def rename(self, before: str, after: str) -> None:
        """See `Shown`."""
        event = next(each for each in self._events() if before in each["body"].values())
        deed = {"action": "edit", "event": event["id"], "fields": {"title": after}}
        self.http.post("/_control/remote", json=self._whose() | deed).raise_for_status()

    def _events(self) -> list[dict[str, Any]]:
        return [event for event in (self._calendar() or {"events": []})["events"] if event["alive"]]

    def _calendar(self) -> dict[str, Any] | None:
        wanted = {"provider": self.provider, "account": self.account, "title": TITLE}
        calendars = self.http.get("/_control/state").json()["calendars"]
        return next((each for each in calendars if wanted.items() <= each.items()), None)

    def _whose(self) -> dict[str, Any]:
        return {"provider": self.provider, "account": self.account, "calendar": (self._calendar() or {}).get("id")}


@dataclass(frozen=True, slots=True)
class CalDavCalendar:
    """On a CalDAV server (RFC 4791), as any other program of the same person speaks to it; `http` is signed in."""

    http: httpx.Client
    url: str
    user: str
    password: str = field(repr=False)
    name: str = "CalDAV"

    def titles(self) -> list[str]:
        """See `Shown`."""
        return [_title(event) for event in self._events().values()]

    def rename(self, before: str, after: str) -> None:
        """See `Shown`."""
        href, event = next(item for item in self._events().items() if _title(item[1]) == before)
        renamed = _SUMMARY.sub(lambda _: f"SUMMARY:{after.replace(',', _COMMA)}", _unfolded(event), count=1)
        headers = {"If-Match": event.headers["etag"], "Content-Type": "text/calendar; charset=utf-8"}
        self.http.put(href, content=renamed.encode(), headers=headers).raise_for_status()

    def put_aside(self) -> None:
        """What an earlier demo has left goes on under another title, so that this one gets a calendar of its own."""
        named = f"<D:set><D:prop><D:displayname>{TITLE}, earlier</D:displayname></D:prop></D:set>"
        for href in self._calendars():
            self._asked("PROPPATCH", href, f'<D:propertyupdate xmlns:D="DAV:">{named}</D:propertyupdate>')

    def _events(self) -> dict[str, httpx.Response]:
        hrefs = [href for calendar in self._calendars() for href in self._listed(calendar, "getetag")]
        return {href: self.http.get(href) for href in hrefs if href.endswith(".ics")}

    def _calendars(self) -> list[str]:
        return [href for href, title in self._listed(f"/{self.user}/", "displayname").items() if title == TITLE]

    def _listed(self, href: str, name: str) -> dict[str, str | None]:
        """What is in a collection, with one property of each."""
        wanted = f'<D:propfind xmlns:D="DAV:"><D:prop><D:{name}/></D:prop></D:propfind>'
        found = etree.fromstring(self._asked("PROPFIND", href, wanted).content)
        return {
            str(each.findtext("D:href", namespaces=_DAV)): each.findtext(f".//D:{name}", namespaces=_DAV)
            for each in found.iterfind("D:response", namespaces=_DAV)
        }

    def _asked(self, method: str, href: str, body: str) -> httpx.Response:
        headers = {"Depth": "1", "Content-Type": "application/xml"}
        return self.http.request(method, href, content=body, headers=headers).raise_for_status()


def connect_vendor(visitor: Visitor, calendar: VendorCalendar) -> None:
    """The way through the browser: to the vendor's consent page, a click on it, and back with a code for the app."""
    begun = visitor.call("POST", CONNECTIONS, {"provider": calendar.provider})
    left = visitor.api.get(begun["authorize_url"])
    page = _sent_to(left)
    scopes = parse_qs(urlsplit(page).query)["scope"][0].split()
    ticked = {**dict.fromkeys(scopes, "yes"), "email": calendar.account, "decision": "allow"}
    clicked = calendar.http.post(page, data=ticked)
    # The cookie is for HTTPS and localhost, where browsers send it and this client does not by itself.
    cookie = left.headers["set-cookie"].partition(";")[0]
    back = visitor.api.get(_sent_to(clicked), headers={"Cookie": cookie})
    fragment = parse_qs(urlsplit(_sent_to(back)).fragment)
    if "code" not in fragment:
        raise StackError(f"The consent came back without a code: {fragment.get('error')}.")
    visitor.call("POST", FINISH, {"code": fragment["code"][0]})


def connect_server(visitor: Visitor, calendar: CalDavCalendar) -> None:
    """A CalDAV account is entered."""
    account = {"url": calendar.url, "username": calendar.user, "password": calendar.password}
    visitor.call("POST", CONNECTIONS, {"provider": "caldav", **account})


def workflows(visitor: Visitor) -> Mapping[str, str]:
    """The workflow of each connected calendar, by provider."""
    listed = visitor.call("GET", CONNECTIONS)["items"]
    return {each["provider"]: each["workflow"].partition("/workflows/")[2] for each in listed}


def _title(event: httpx.Response) -> str:
    """What an event of iCalendar is called."""
    found = _SUMMARY.search(_unfolded(event))
    return found[1].replace(_COMMA, ",") if found else ""


def _unfolded(event: httpx.Response) -> str:
    """Long lines go on in the next one (RFC 5545 §3.1)."""
    return re.sub(r"\r?\n[ \t]", "", event.text)


def _sent_to(answer: httpx.Response) -> str:
    if not answer.is_redirect:
        raise StackError(f"{answer.request.url.path} should lead on, and answered {answer.status_code}.")
    return str(answer.headers["location"])
