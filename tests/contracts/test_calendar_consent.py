"""OAuth of the local calendar servers: consent pages, codes with PKCE, tokens that end, scopes that are kept."""

import re
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from msgraph.generated.models.calendar import Calendar

from core.pkce import challenge_of
from tests.calendar_servers import APPS, ControlClient
from tests.contracts.calendar_kit import google_refuses, google_service, graph_client, graph_refuses

GOOGLE = "https://www.googleapis.com/auth/"
AUTHORIZE = {"google": "/o/oauth2/v2/auth", "microsoft": "/common/oauth2/v2.0/authorize"}
TOKEN = {"google": "/token", "microsoft": "/common/oauth2/v2.0/token"}


class Browser:
    """Somebody in front of the consent page, and the application that waits for them."""

    def __init__(self, control: ControlClient) -> None:
        self.control, self.app = control, getattr(APPS, control.provider)
        self.http = httpx.Client(base_url=control.url)
        self.verifier = secrets.token_urlsafe(48)

    def address(self, scope: str, **more: str) -> str:
        asked = {
            "client_id": self.app.client_id,
            "redirect_uri": self.app.callback,
            "response_type": "code",
            "scope": scope,
            "state": "the state",
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            **more,
        }
        return f"{AUTHORIZE[self.control.provider]}?{urlencode(asked)}"

    def click(self, address: str, decision: str = "allow", unticked: str = "") -> dict[str, str]:
        page = self.http.get(address)
        assert page.status_code == 200
        scopes = [name for name in re.findall(r'type="checkbox" name="([^"]+)"', page.text) if name != unticked]
        form = {"email": self.control.account, "decision": decision, **dict.fromkeys(scopes, "yes")}
        back = self.http.post(address, data=form).headers["location"]
        assert back.startswith(f"{self.app.callback}?")
        return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}

    def token(self, **form: str) -> httpx.Response:
        given = {"client_id": self.app.client_id, "client_secret": self.app.client_secret, **form}
        return self.http.post(TOKEN[self.control.provider], data=given)

    def redeem(self, code: str, **more: str) -> httpx.Response:
        given = {"code": code, "redirect_uri": self.app.callback, "code_verifier": self.verifier, **more}
        return self.token(grant_type="authorization_code", **given)

    def refresh(self, token: str) -> httpx.Response:
        return self.token(grant_type="refresh_token", refresh_token=token)

    def connect(self, scope: str, **more: str) -> dict[str, Any]:
        given: dict[str, Any] = self.redeem(self.click(self.address(scope, **more))["code"]).json()
        return given


@pytest.fixture
def google(google_calendar_server: ControlClient) -> Browser:
    return Browser(google_calendar_server)


@pytest.fixture
def microsoft(graph_server: ControlClient) -> Browser:
    return Browser(graph_server)


def test_google_gives_a_refresh_token_for_offline_access_with_consent_alone(google: Browser) -> None:
    scope = f"{GOOGLE}calendar.app.created"
    given = google.connect(scope, access_type="offline", prompt="consent")
    assert given["expires_in"] == 3_599
    assert given["scope"] == scope
    assert "refresh_token" in given
    assert "refresh_token" not in google.connect(scope, access_type="offline")
    assert "refresh_token" not in google.connect(scope, prompt="consent")
    again = google.refresh(given["refresh_token"]).json()
    assert again["access_token"] != given["access_token"]
    assert "refresh_token" not in again


def test_microsoft_gives_a_refresh_token_for_its_scope_and_a_new_one_at_each_use(microsoft: Browser) -> None:
    assert "refresh_token" not in microsoft.connect("Calendars.ReadWrite User.Read")
    given = microsoft.connect("Calendars.ReadWrite User.Read offline_access")
    first = microsoft.refresh(given["refresh_token"]).json()
    assert first["refresh_token"] != given["refresh_token"]
    assert microsoft.refresh(given["refresh_token"]).status_code == 200, "its answer may have been lost"
    microsoft.control.advance(61)
    assert microsoft.refresh(given["refresh_token"]).json()["error"] == "invalid_grant"
    assert microsoft.refresh(first["refresh_token"]).status_code == 200


def test_the_account_is_the_address_on_the_page(google: Browser) -> None:
    token = google.connect(f"{GOOGLE}calendar")["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    own = google.http.get("/calendar/v3/calendars/primary", headers=headers).json()
    assert own["id"] == google.control.account


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"client_id": "another"}, "unauthorized_client"),
        (
            {"redirect_uri": "http://localhost:8000/api/v1/integrations/calendar/callback/google/"},
            "redirect_uri_mismatch",
        ),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "invalid_request"),
        ({"state": ""}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_what_is_not_registered_sees_no_consent_page(
    request: pytest.FixtureRequest, provider: str, wrong: dict[str, str], error: str
) -> None:
    browser: Browser = request.getfixturevalue(provider)
    answer = browser.http.get(browser.address("x", **wrong))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_a_code_is_good_once_with_its_secrets_and_its_redirect(request: pytest.FixtureRequest, provider: str) -> None:
    browser: Browser = request.getfixturevalue(provider)

    def code() -> str:
        return browser.click(browser.address("Calendars.ReadWrite"))["code"]

    assert browser.redeem(code(), code_verifier="another" * 8).json()["error"] == "invalid_grant"
    assert browser.redeem(code(), redirect_uri="http://localhost/elsewhere").json()["error"] == "invalid_grant"
    refused = browser.redeem(code(), client_secret="wrong")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    good = code()
    assert browser.redeem(good).status_code == 200
    assert browser.redeem(good).json()["error"] == "invalid_grant"


def test_somebody_may_say_no(google: Browser) -> None:
    said = google.click(google.address(f"{GOOGLE}calendar"), decision="deny")
    assert said == {"error": "access_denied", "state": "the state"}


def test_a_scope_that_was_not_ticked_is_not_given(google: Browser) -> None:
    scopes = f"{GOOGLE}calendar.app.created openid"
    code = google.click(google.address(scopes), unticked=f"{GOOGLE}calendar.app.created")["code"]
    given = google.redeem(code).json()
    assert given["scope"] == "openid"
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    refused = google.http.post("/calendar/v3/calendars", json={"summary": "x"}, headers=headers)
    assert refused.status_code == 403
    assert refused.json()["error"]["errors"][0]["reason"] == "insufficientPermissions"


def test_the_narrow_scope_ends_at_what_an_application_has_made(google_calendar_server: ControlClient) -> None:
    service = google_service(google_calendar_server, f"{GOOGLE}calendar.app.created")
    own = service.calendars().insert(body={"summary": "Petfolio"}).execute()["id"]
    assert service.events().list(calendarId=own).execute()["items"] == []
    with google_refuses(403, "insufficientPermissions"):
        service.events().list(calendarId="primary").execute()
    with google_refuses(403, "insufficientPermissions"):
        service.calendarList().list().execute()


async def test_graph_checks_its_scopes(graph_server: ControlClient) -> None:
    reader = graph_client(graph_server, "Calendars.Read")
    assert await reader.me.calendars.get() is not None
    with graph_refuses(403, "ErrorAccessDenied"):
        await reader.me.get()
    with graph_refuses(403, "ErrorAccessDenied"):
        await reader.me.calendars.post(Calendar(name="x"))


def test_access_ends_after_an_hour_and_on_command(google: Browser) -> None:
    def status() -> int:
        headers = {"Authorization": f"Bearer {tokens.access}"}
        return google.http.get("/calendar/v3/calendars/primary", headers=headers).status_code

    tokens = google.control.tokens()
    google.control.advance(3_598)
    assert status() == 200
    google.control.advance(2)
    assert status() == 401
    tokens = google.control.tokens()
    assert status() == 200
    google.control.expire_access()
    assert status() == 401
    assert google.refresh(tokens.refresh).status_code == 200


def test_a_grant_that_ended_gives_no_tokens_and_a_revoked_one_refuses_the_old_ones(google: Browser) -> None:
    tokens = google.control.tokens()
    headers = {"Authorization": f"Bearer {tokens.access}"}
    google.control.grant("invalid_grant")
    assert google.refresh(tokens.refresh).json()["error"] == "invalid_grant"
    assert google.http.get("/calendar/v3/calendars/primary", headers=headers).status_code == 200
    google.control.grant("revoked")
    assert google.http.get("/calendar/v3/calendars/primary", headers=headers).status_code == 401
    assert google.refresh(tokens.refresh).json()["error"] == "invalid_grant"
    asked = [(each["path"], each["status"]) for each in google.control.log()]
    assert asked == [
        ("/token", 400),
        ("/calendar/v3/calendars/primary", 200),
        ("/calendar/v3/calendars/primary", 401),
        ("/token", 400),
    ]


def test_revocation_ends_everything_of_the_account(google: Browser) -> None:
    tokens = google.control.tokens()
    assert google.http.post("/revoke", data={"token": tokens.refresh}).status_code == 200
    assert google.refresh(tokens.refresh).json()["error"] == "invalid_grant"
    headers = {"Authorization": f"Bearer {tokens.access}"}
    assert google.http.get("/calendar/v3/calendars/primary", headers=headers).status_code == 401
    assert google.http.post("/revoke", data={"token": "unknown"}).status_code == 400
