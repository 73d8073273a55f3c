"""The main job as a client sees it: HTTP only, against whatever stack `petfolio status` shows."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from infra.local.errors import StackError

_TOKEN = re.compile(r"[?&]token=([A-Za-z0-9_.~-]+)")
NAMESPACE = "petfolio"
_PAUSE = 0.1


@dataclass(slots=True)
class Visitor:
    """Somebody with a REST client and a mailbox. Every method raises `StackError` when the platform answers oddly."""

    api: httpx.Client
    inbox: httpx.Client
    email: str = field(default_factory=lambda: f"demo-{secrets.token_hex(4)}@example.test")
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request below `/api/v1`; answers its JSON, or None for an empty answer."""
        try:
            answer = self.api.request(method, f"/api/v1{path}", json=body)
        except httpx.TransportError as error:
            raise StackError(f"{method} {path} got no answer ({error}): is the stack still running?") from error
        if answer.is_error:
            raise StackError(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def wait_for_mail(
        self, words: str, seconds: float, tick: Callable[[], None] = lambda: None, *, number: int = 1
    ) -> dict[str, Any]:
        """The newest mail to this address that holds `words`, once there are `number`; `tick` is called meanwhile."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            found = [mail for mail in self._mails() if words in f"{mail['subject']} {mail['text']}"]
            if len(found) >= number:
                return found[0]
            tick()
            time.sleep(_PAUSE)
        raise StackError(f"No mail with {words!r} came within {seconds:.0f} s; `petfolio logs` may say why.")

    def sign_up(self, name: str) -> None:
        """Register; the account waits for the address to be verified."""
        body = {"email": self.email, "password": self.password, "first_name": name, "timezone": "UTC"}
        self.call("POST", "/auth/register", body)

    def verify(self, mail: Mapping[str, Any]) -> None:
        """What the button on the linked page does: post the token."""
        found = _TOKEN.search(mail["text"] or "")
        if not found:
            raise StackError("The verification mail holds no link with a token.")
        self.call("POST", "/auth/verify-email", {"token": found[1]})

    def log_in(self) -> None:
        """From here on every call carries the access token."""
        tokens = self.call("POST", "/auth/login", {"email": self.email, "password": self.password})
        self.api.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def remind_daily(self, pet_id: str, title: str, first: datetime) -> dict[str, Any]:
        """A reminder every day from `first` (UTC), by e-mail."""
        start = first.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()
        schedule = {"mode": "fixed", "dtstart_local": start, "tzid": "UTC", "freq": "DAILY"}
        body = {"title": title, "pet_id": pet_id, "schedule": schedule, "notification_methods": ["email"]}
        created: dict[str, Any] = self.call("POST", "/reminders", body)
        return created

    def workflow_of(self, reminder_id: str) -> str | None:
        """The workflow that looks after a reminder, from the caller's own list; None until the relay has started it."""
        listed = self.call("GET", "/workflows")["items"]
        return next((str(w["id"]) for w in listed if reminder_id in w["id"]), None)

    def _mails(self) -> list[dict[str, Any]]:
        answer = self.inbox.get("/api/messages", params={"to": self.email, "channel": "email"})
        answer.raise_for_status()
        mails: list[dict[str, Any]] = answer.json()
        return mails


def wait_until(holds: Callable[[], bool], seconds: float, what: str, service: str) -> None:
    """Look again and again. Raises `StackError` when it does not come true in time."""
    limit = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > limit:
            raise StackError(f"Not within {seconds:.0f} s: {what}. `petfolio logs {service}` may say why.")
        time.sleep(_PAUSE)


def in_seconds(seconds: float) -> datetime:
    """A whole second at least so far ahead."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds + 1)


def workflow_link(ui_url: str, workflow_id: str) -> str:
    """The page of a workflow in the Temporal UI."""
    return f"{ui_url}/namespaces/{NAMESPACE}/workflows/{quote(workflow_id, safe='')}"
