"""The calendar servers as a service of the local stack: what survives a kill, connections that stay, and the page."""

import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from core.settings import Settings
from infra.local.launchers import app, caldav, calendars
from tests.calendar_servers import ControlClient, somebody
from tests.contracts.calendar_kit import hour
from tests.services import Servers, open_servers


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    with open_servers() as running:
        yield running


@pytest.fixture
def google(own_servers: Servers) -> ControlClient:
    site = own_servers.start(calendars.SERVICE)
    return somebody(f"http://{site.address('calendars')}", "google")


def test_a_killed_server_remembers_events_tokens_and_where_a_sync_was(
    own_servers: Servers, google: ControlClient
) -> None:
    tokens, calendar = google.tokens(), google.calendar()
    path = f"{google.url}/calendar/v3/calendars/{calendar}/events"
    headers = {"Authorization": f"Bearer {tokens.access}"}
    made = httpx.post(path, json=hour(), headers=headers).json()
    token = httpx.get(path, headers=headers).json()["nextSyncToken"]
    later = httpx.post(path, json=hour(), headers=headers).json()["id"]
    own_servers.kill(calendars.SERVICE)
    own_servers.start(calendars.SERVICE)
    assert httpx.get(f"{path}/{made['id']}", headers=headers).json()["etag"] == made["etag"]
    changed = httpx.get(path, params={"syncToken": token}, headers=headers).json()["items"]
    assert [each["id"] for each in changed] == [later]


def test_the_application_is_told_where_the_servers_are(own_servers: Servers, google: ControlClient) -> None:
    settings = calendars.settings(own_servers.site)
    assert settings["PETFOLIO_CALENDARS__GOOGLE__API_URL"] == google.url
    asked = {
        "client_id": settings["PETFOLIO_CALENDARS__MICROSOFT__CLIENT_ID"],
        "redirect_uri": f"{own_servers.site.link('api')}/api/v1/integrations/calendar/callback/microsoft",
        "response_type": "code",
        "scope": "Calendars.ReadWrite",
        "state": "state",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }
    page = httpx.get(settings["PETFOLIO_CALENDARS__MICROSOFT__AUTHORIZE_URL"], params=asked)
    assert (page.status_code, "Outlook" in page.text) == (200, True)
    form = {
        "client_id": settings["PETFOLIO_CALENDARS__GOOGLE__CLIENT_ID"],
        "client_secret": settings["PETFOLIO_CALENDARS__GOOGLE__CLIENT_SECRET"],
        "grant_type": "refresh_token",
        "refresh_token": google.tokens().refresh,
    }
    assert httpx.post(settings["PETFOLIO_CALENDARS__GOOGLE__TOKEN_URL"], data=form).status_code == 200


def test_a_vendor_that_is_set_up_for_real_keeps_its_settings(own_servers: Servers) -> None:
    """The address for push messages goes as well: Google would refuse one on loopback."""
    environ = {"PETFOLIO_CALENDARS__GOOGLE__CLIENT_ID": "real"}
    found = calendars.settings(replace(own_servers.site, environ=environ))
    assert {name.split("__")[1] for name in found} == {"MICROSOFT"}


def test_what_the_launchers_say_is_what_the_settings_are_called(
    own_servers: Servers, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt variable is ignored, and the calendars of the real vendors would be asked."""
    site = own_servers.site
    for variable, value in {**calendars.settings(site), **caldav.SERVICE.settings(site), **app.HABITS}.items():
        monkeypatch.setenv(variable, value)
    found = Settings(database_url=settings.database_url, redis_url=settings.redis_url).calendars
    server = f"http://{site.address('calendars')}"
    for vendor in (found.google, found.microsoft):
        for name, url in vendor:
            assert not name.endswith("_url") or url.startswith((server, site.link("calendars"))), name
        assert vendor.client_secret is not None
    assert (found.caldav.plain_http, found.caldav.private) == (True, True)
    assert (found.push_url, found.poll_seconds) == (f"http://{site.address('api')}", 15)


def test_connections_stay_open_and_every_answer_has_its_length(google: ControlClient) -> None:
    headers = {"Authorization": f"Bearer {google.tokens().access}"}
    with httpx.Client(base_url=google.url, headers=headers) as http:
        began, answers = time.monotonic(), [http.get("/calendar/v3/calendars/primary") for _ in range(100)]
        seconds = time.monotonic() - began
    assert {each.http_version for each in answers} == {"HTTP/1.1"}
    assert {each.headers.get("connection") for each in answers} == {None}
    assert all(int(each.headers["content-length"]) == len(each.content) for each in answers)
    assert len({id(each.extensions["network_stream"]) for each in answers}) == 1
    assert seconds < 4, "neither Nagle nor a new connection costs 40 ms each"


def test_a_broken_request_ends_its_connection_and_not_the_server(google: ControlClient) -> None:
    headers = {"Authorization": f"Bearer {google.tokens().access}"}
    path = f"{google.url}/calendar/v3/calendars/primary/events"
    assert httpx.post(path, content=b"{", headers=headers).status_code == 400
    assert httpx.post(path, content=b"[]", headers=headers).status_code == 400
    assert httpx.get(path, headers=headers).status_code == 200
    with socket.create_connection((httpx.URL(google.url).host, httpx.URL(google.url).port or 0)) as broken:
        broken.sendall(b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
        assert broken.recv(100).startswith(b"HTTP/1.1 400 ")
    assert httpx.get(path, headers=headers).status_code == 200


def test_a_body_in_pieces_is_put_together(google: ControlClient) -> None:
    headers = {"Authorization": f"Bearer {google.tokens().access}"}
    path = f"{google.url}/calendar/v3/calendars/primary/events"
    text = json.dumps(hour()).encode()
    made = httpx.post(path, content=iter([text[:10], text[10:]]), headers=headers)
    assert made.json()["summary"] == "Vaccination"


@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_events_are_made_changed_and_deleted_by_hand(google: ControlClient, provider: str) -> None:
    control = google.another(provider)  # type: ignore[arg-type]
    with httpx.Client(base_url=control.url, follow_redirects=True) as http:
        assert "Nobody of that address" in http.get("/", params={"account": control.account}).text
        form = {"account": control.account, "provider": provider, "calendar": "", "title": "Café <b>", "zone": "UTC"}
        times = {"start": "2026-03-02T09:00", "end": "2026-03-02T10:00"}
        page = http.post("/events", data={**form, **times, "repeats": "weekly", "action": "create"})
        assert "Created." in page.text
        assert "Café &lt;b&gt;" in page.text
        (made,) = control.events()
        event = re.search(r'name="event" value="([^"]+)"', page.text)
        assert event is not None
        assert event[1] == made["id"]
        page = http.post("/events", data={**form, **times, "event": made["id"], "title": "New", "action": "edit"})
        assert "Changed." in page.text
        page = http.post(
            "/events", data={**form, "start": "2026-03-02T09:00", "end": "2026-03-01T09:00", "action": "create"}
        )
        assert "Refused:" in page.text
        page = http.post(
            "/events", data={"account": control.account, "provider": provider, "event": made["id"], "action": "delete"}
        )
        assert "Deleted." in page.text
        assert control.events() == []
        assert control.account in http.get("/").text
