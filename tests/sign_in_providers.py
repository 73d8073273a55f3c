"""Sign-in providers for tests: the emulators of the local stack, a browser that has cookies, and an app that waits."""

import html
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from core.pkce import challenge_of
from core.settings import Settings
from core.sign_in_settings import AppleSettings, FacebookSettings, GoogleSettings
from infra.local.launchers import aws as aws_launcher
from infra.local.launchers import sign_in
from infra.local.site import Site
from tests.services import Servers, asked

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ProviderServer:
    """One emulator, and how it is told what to get wrong."""

    name: str
    origin: str

    def calls(self, service: str) -> list[dict[str, Any]]:
        """What the application asked of a service, oldest first."""
        return [call for call in asked("GET", f"{self.origin}/_control/calls") if call["service"] == service]

    def fault(self, **fault: Any) -> None:
        """`status`, `delay`, `count`, `service`."""
        asked("POST", f"{self.origin}/_control/faults", fault)

    def twist(self, what: str, count: int = 1) -> None:
        """What the next answer gets wrong in its content."""
        asked("POST", f"{self.origin}/_control/twists", {"what": what, "count": count})

    def rotate(self) -> None:
        """It signs with a new key."""
        asked("POST", f"{self.origin}/_control/rotate", {})

    def tell(self, what: str, **about: Any) -> dict[str, Any]:
        """Tell the application about somebody: `notices` (Apple), `deletions` (Facebook)."""
        told: dict[str, Any] = asked("POST", f"{self.origin}/_control/{what}", about)
        return told

    def clear(self) -> None:
        """Everything works again."""
        for what in ("faults", "twists"):
            asked("DELETE", f"{self.origin}/_control/{what}")


@dataclass(frozen=True, slots=True)
class Providers:
    """All three, and what an api is told of them."""

    site: Site
    google: ProviderServer
    apple: ProviderServer
    facebook: ProviderServer

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of an api process."""
        return sign_in.settings(self.site)

    @property
    def public_url(self) -> str:
        """Where browsers are sent back to, as it is registered."""
        return self.site.link("api")

    def settings(self, settings: Settings) -> Settings:
        """The settings with all three on."""
        given: dict[str, dict[str, str]] = {name: {} for name in sign_in.PORTS}
        for variable, value in self.environment.items():
            name, _, setting = variable.removeprefix("PETFOLIO_").lower().partition("__")
            given[name][setting] = value
        models = {"google": GoogleSettings, "apple": AppleSettings, "facebook": FacebookSettings}
        parsed = {name: models[name].model_validate(values) for name, values in given.items()}
        return settings.model_copy(update={**parsed, "public_url": self.public_url})

    def named(self, name: str) -> ProviderServer:
        found: ProviderServer = getattr(self, name)
        return found

    def clear(self) -> None:
        for name in sign_in.PORTS:
            self.named(name).clear()


@pytest.fixture(scope="session")
def provider_servers(servers: Servers) -> Providers:
    """Google, Apple and Facebook as the local stack has them."""
    site = servers.start(aws_launcher.SERVICE)
    return Providers(site, *(ProviderServer(name, site.link(name)) for name in sign_in.PORTS))


@pytest.fixture
def providers(provider_servers: Providers) -> Providers:
    """As they are when nothing is wrong."""
    provider_servers.clear()
    return provider_servers


def somebody(**more: str) -> dict[str, str]:
    """A person on a consent page. Google knows their address, because it is its own."""
    email = f"{secrets.token_hex(6)}@gmail.com"
    return {"email": email, "first_name": "Ada", "last_name": "Lovelace", "verified": "yes", **more}


async def consent(http: httpx.AsyncClient, authorize_url: str, person: Form | None) -> httpx.Request:
    """Click on the consent page (None: deny); the request that takes the browser back."""
    assert (await http.get(authorize_url)).status_code == 200
    clicked = {"decision": "deny"} if person is None else {**person, "decision": "allow"}
    answer = await http.post(authorize_url, data=clicked)
    if answer.status_code == 302:
        return http.build_request("GET", answer.headers["location"])
    assert answer.status_code == 200, answer.text
    (action,) = re.findall(r'action="([^"]+)"', answer.text)
    fields = re.findall(r'name="([^"]+)" value="([^"]*)"', answer.text)
    return http.build_request("POST", html.unescape(action), data={k: html.unescape(v) for k, v in fields})


@dataclass
class Browser:
    """Keeps the cookies of the api as a browser does: to one host, and `SameSite=None` alone to a cross-site POST."""

    http: httpx.AsyncClient
    api: str
    jar: dict[str, tuple[str, str]] = field(default_factory=dict)

    async def go(self, request: httpx.Request, *, accept: str = "*/*") -> httpx.Response:
        """One step, no redirect followed."""
        crosses = request.method == "POST"
        sent = {name: value for name, (value, same) in self.jar.items() if not crosses or same.lower() == "none"}
        if sent and str(request.url).startswith(self.api):
            request.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in sent.items())
        request.headers["Accept"] = accept
        answer = await self.http.send(request)
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                assert morsel["secure"]
                assert morsel["httponly"]
                assert morsel["path"] == "/"
                assert not morsel["domain"]
                self.jar[name] = (morsel.value, morsel["samesite"])
        return answer

    async def get(self, url: str, **query: str) -> httpx.Response:
        return await self.go(self.http.build_request("GET", url, params=query or None))

    async def depart(self, provider: str, **query: str) -> str:
        """To the provider: the address of its consent page."""
        answer = await self.get(f"{self.api}/api/v1/auth/oauth/{provider}/start", **query)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


@dataclass
class Visitor:
    """Somebody with an app and a browser. `verifier` is what the app keeps to itself."""

    browser: Browser
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @classmethod
    def of(cls, http: httpx.AsyncClient, api: str) -> "Visitor":
        return cls(Browser(http, api))

    async def visit(self, provider: str, person: Form | None) -> httpx.Response:
        """To the provider and back: what the callback answers."""
        url = await self.browser.depart(provider, code_challenge=challenge_of(self.verifier), next="/sign-in")
        return await self.browser.go(await consent(self.browser.http, url, person))

    async def exchange(self, code: str, verifier: str | None = None) -> httpx.Response:
        body = {"code": code, "code_verifier": verifier or self.verifier}
        return await self.browser.http.post(f"{self.browser.api}/api/v1/auth/oauth/token", json=body)

    async def sign_in(self, provider: str, person: Form) -> httpx.Response:
        """The whole way: what the app gets for the code."""
        return await self.exchange(said(await self.visit(provider, person))["code"])


def said(answer: httpx.Response) -> dict[str, str]:
    """What the browser brings to the app in the fragment."""
    assert answer.status_code == 303, answer.text
    place = urlsplit(answer.headers["location"])
    assert not place.query
    return dict(parse_qsl(place.fragment))
