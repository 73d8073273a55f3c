"""The local Google and Graph calendar servers for tests: in a thread, in memory, with a client for their knobs."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import pytest

from infra.local.emulators.calendar.oauth import Registration
from infra.local.emulators.calendar.server import Running
from infra.local.emulators.sign_in import App

Provider = Literal["google", "microsoft"]
CALLBACK = "http://localhost:8000/api/v1/integrations/calendar/callback"
APPS = Registration(
    google=App("petfolio-test", "google-secret", f"{CALLBACK}/google"),
    microsoft=App("petfolio-test", "microsoft-secret", f"{CALLBACK}/microsoft"),
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gave."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ControlClient:
    """`/_control/` of the calendar servers, as somebody of one vendor. Blocking; a refusal is an `HTTPError`.

    `account` is new for every client, so that tests on one server do not meet.
    """

    url: str
    provider: Provider
    account: str

    def tokens(self, scopes: str | None = None) -> Tokens:
        """Tokens of the account, without a click."""
        given = self._post("token", {**self._whose(), "scopes": scopes})
        return Tokens(given["access_token"], given["refresh_token"])

    def calendar(self, title: str = "Pets", *, app: bool = True) -> str:
        """The id of a new calendar; `app`: as if an application had made it."""
        return str(self._post("calendar", {**self._whose(), "title": title, "app": app})["id"])

    def remote_create(self, calendar: str | None = None, body: dict[str, Any] | None = None, **fields: Any) -> str:
        """Somebody makes an event by hand: `title`, `notes`, `location`, `start`, `end` (wall times), `zone`,
        `all_day`, `repeats` (daily, weekly, monthly, yearly); `body` is the vendor's own JSON. Answers its id, at Graph
        the immutable one."""
        return self._remote("create", calendar, body=body or {}, fields=fields)

    def remote_edit(
        self,
        event: str,
        calendar: str | None = None,
        body: dict[str, Any] | None = None,
        occurrence: str | None = None,
        **fields: Any,
    ) -> str:
        """Somebody changes an event, or the occurrence whose original start is `20260301T080000Z` or `20260301`."""
        return self._remote("edit", calendar, event=event, occurrence=occurrence, body=body or {}, fields=fields)

    def remote_delete(self, event: str, calendar: str | None = None, occurrence: str | None = None) -> None:
        """Somebody deletes an event, or one occurrence of it."""
        self._remote("delete", calendar, event=event, occurrence=occurrence)

    def remote_move(self, event: str, to: str, calendar: str | None = None) -> str:
        """Somebody moves an event to another calendar."""
        return self._remote("move", calendar, event=event, to=to)

    def remote_copy(self, event: str, calendar: str | None = None, to: str | None = None) -> str:
        """Somebody duplicates an event; private properties come along."""
        return self._remote("copy", calendar, event=event, to=to)

    def remote_split(
        self, event: str, occurrence: str, calendar: str | None = None, body: dict[str, Any] | None = None
    ) -> str:
        """ "This and all following events": the id of the new series."""
        return self._remote("split", calendar, event=event, occurrence=occurrence, body=body or {})

    def drop_calendar(self, calendar: str) -> None:
        """Somebody deletes a calendar."""
        self._post("drop", {**self._whose(), "calendar": calendar})

    def expire_cursors(self, calendar: str | None = None, form: str = "") -> None:
        """Sync and delta tokens of the account, or of one calendar, end. `form`: the reason or code."""
        self._post("expire", {**self._whose(), "calendar": calendar, "form": form})

    def expire_access(self) -> None:
        """The access tokens of the account end."""
        self._post("expire", {**self._whose(), "what": "access"})

    def grant(self, state: Literal["ok", "invalid_grant", "revoked"]) -> None:
        """What becomes of the account's consent."""
        self._post("grant", {**self._whose(), "state": state})

    def fault(self, **fault: Any) -> None:
        """`method`, `path` (patterns), `when` before|after, `effect` status|reset|close|hang|slow, `status`, `body`,
        `headers`, `seconds`, `times`, `skip`; of this account's requests unless `account` says otherwise (None: of
        everybody's)."""
        self._post("fault", {"account": self.account, **fault})

    def throttle(self, **throttle: Any) -> None:
        """`status` 403|429|503, `retry_after`, `reason`, `times` or `seconds`; of this account by default."""
        self._post("throttle", {**self._whose(), **throttle})

    def race(self, action: str, path: str = ".*", method: str = "PATCH|PUT|DELETE", **deed: Any) -> None:
        """Right before the next request like this, somebody does something (`Deed`: `event`, `calendar`, `body`, …)."""
        remote = {**self._whose(), "action": action, **deed}
        self._post("race", {"method": method, "path": path, "remote": remote})

    def shape(self, what: str, **shape: Any) -> None:
        """A form of the answers (`knobs.SHAPES`): `calendar`, `event`, `form`, `times` (None: for ever), `skip`."""
        self._post("shape", {"what": what, **shape})

    def clear_rules(self) -> None:
        """Nothing goes wrong any more, for anybody."""
        self._call("DELETE", "fault")

    def push(
        self, what: Literal["drop", "duplicate", "delay", "reorder"], times: int = 1, seconds: float = 1.0
    ) -> None:
        """What goes wrong with the next messages."""
        self._post("push", {"what": what, "times": times, "seconds": seconds})

    def forge(self, **message: Any) -> None:
        """A false message: of a `channel` (`token`, `channel_id`, `bytes`) or a `subscription` (`state`, `count`)."""
        self._post("forge", message)

    def lifecycle(self, subscription: str, event: str) -> None:
        """An item about a subscription's life."""
        self._post("lifecycle", {"subscription": subscription, "event": event})

    def end(self, *, channel: str = "", subscription: str = "") -> None:
        """A channel or subscription ends without a word."""
        self._post("end", {"channel": channel, "subscription": subscription})

    def advance(self, seconds: float) -> None:
        """The server's clock goes on; for everybody on it."""
        self._post("clock", {"advance": seconds})

    def real_time(self) -> None:
        """The clock is right again."""
        self._post("clock", {"reset": True})

    def log(self, **wanted: Any) -> list[dict[str, Any]]:
        """The requests of this account, oldest first; only those with these values (`method`, `status`, …)."""
        entries = (each for each in self._call("GET", "log") if each["account"] == self.account)
        return [each for each in entries if all(each.get(name) == value for name, value in wanted.items())]

    def writes(self) -> list[dict[str, Any]]:
        """The requests of this account that wanted to change something."""
        return [each for each in self.log() if each["method"] != "GET"]

    def requests(self) -> list[dict[str, Any]]:
        """The requests of anybody, those for tokens too, oldest first."""
        found: list[dict[str, Any]] = self._call("GET", "log")
        return found

    def unhandled(self) -> list[dict[str, Any]]:
        """Requests of anybody to what the servers do not have; a test that means them clears the log."""
        return [each for each in self._call("GET", "log") if each.get("unhandled")]

    def clear_log(self) -> None:
        """Forget the requests, of everybody."""
        self._call("DELETE", "log")

    def state(self) -> dict[str, Any]:
        """Everything that the servers know."""
        found: dict[str, Any] = self._call("GET", "state")
        return found

    def events(self, calendar: str | None = None) -> list[dict[str, Any]]:
        """The living events, as they are stored, of a calendar, or of the account's own."""
        own = (
            each
            for each in self.state()["calendars"]
            if (each["provider"], each["account"]) == (self.provider, self.account)
            and (each["id"] == calendar if calendar else each["primary"])
        )
        return [event for each in own for event in each["events"] if event["alive"]]

    def reset(self) -> None:
        """Nobody was ever here; for everybody on the server."""
        self._post("reset", {})

    def another(self, provider: Provider | None = None) -> "ControlClient":
        """Somebody else on the same server."""
        return somebody(self.url, provider or self.provider)

    def _whose(self) -> dict[str, Any]:
        return {"provider": self.provider, "account": self.account}

    def _remote(self, action: str, calendar: str | None, **deed: Any) -> str:
        return str(self._post("remote", {**self._whose(), "action": action, "calendar": calendar, **deed})["id"])

    def _post(self, what: str, body: dict[str, Any]) -> Any:
        return self._call("POST", what, body)

    def _call(self, method: str, what: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/_control/{what}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def somebody(url: str, provider: Provider) -> ControlClient:
    """An account that nobody else has."""
    return ControlClient(url, provider, f"{uuid4().hex[:12]}@example.com")


@pytest.fixture(scope="session")
def calendar_servers() -> Iterator[str]:
    """The address of the servers of this run."""
    with Running(APPS) as running:
        yield running.url


@pytest.fixture
def google_calendar_server(calendar_servers: str) -> Iterator[ControlClient]:
    """Somebody at Google, where nothing goes wrong."""
    control = somebody(calendar_servers, "google")
    yield control
    _leave(control)


@pytest.fixture
def graph_server(calendar_servers: str) -> Iterator[ControlClient]:
    """Somebody at Microsoft, where nothing goes wrong."""
    control = somebody(calendar_servers, "microsoft")
    yield control
    _leave(control)


def _leave(control: ControlClient) -> None:
    """As it was found. A request that the servers do not know fails the test that made it."""
    control.clear_rules()
    control.real_time()
    unhandled = control.unhandled()
    control.clear_log()
    assert not unhandled
