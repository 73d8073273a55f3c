"""Somebody's calendars as the calendar demo sees them: consents in a browser, and three calendars in their own words.

Nothing here asks Petfolio's database: what is shown is what Google, Outlook and the CalDAV server would show.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx
from caldav.elements import dav

from infra.local.demo import Visitor
from infra.local.errors import StackError

CONNECTIONS: Final = "/integrations/calendar/connections"
TITLE: Final = "Petfolio"
_PAUSE: Final = 0.1


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
    """On a CalDAV server, through a client like any other: a `DAVClient`, whose methods are typed in part."""

    client: Any
    url: str
    user: str
    password: str = field(repr=False)
    name: str = "CalDAV"

    def titles(self) -> list[str]:
        """See `Shown`."""
        return [_title(event) for event in self._events()]

    def rename(self, before: str, after: str) -> None:
        """See `Shown`."""
        event = next(each for each in self._events() if _title(each) == before)
        with event.edit_icalendar_component() as component:
            component["SUMMARY"] = after
        event.save()

    def put_aside(self) -> None:
        """What an earlier demo has left goes on under another title, so that this one gets a calendar of its own."""
        for calendar in self._calendars():
            calendar.set_properties([dav.DisplayName(f"{TITLE}, earlier")])

    def _events(self) -> list[Any]:
        return [event for calendar in self._calendars() for event in calendar.get_events()]

    def _calendars(self) -> list[Any]:
        found = self.client.principal().get_calendars()
        return [calendar for calendar in found if calendar.get_display_name() == TITLE]


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
    visitor.call("POST", f"{CONNECTIONS}/finish", {"code": fragment["code"][0]})


def connect_server(visitor: Visitor, calendar: CalDavCalendar) -> None:
    """A CalDAV account is entered."""
    account = {"url": calendar.url, "username": calendar.user, "password": calendar.password}
    visitor.call("POST", CONNECTIONS, {"provider": "caldav", **account})


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Look again and again. Raises `StackError` when it does not come true in time."""
    limit = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > limit:
            raise StackError(f"Not within {seconds:.0f} s: {what}. `petfolio logs worker-calendar` may say why.")
        time.sleep(_PAUSE)


def workflows(visitor: Visitor) -> Mapping[str, str]:
    """The workflow of each connected calendar, by provider."""
    listed = visitor.call("GET", CONNECTIONS)["items"]
    return {each["provider"]: each["workflow"].partition("/workflows/")[2] for each in listed}


def _title(event: Any) -> str:
    return str(event.get_icalendar_component()["SUMMARY"])


def _sent_to(answer: httpx.Response) -> str:
    if not answer.is_redirect:
        raise StackError(f"{answer.request.url.path} should lead on, and answered {answer.status_code}.")
    return str(answer.headers["location"])
