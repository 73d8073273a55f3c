"""What an endpoint gets: the request, who asks, and what everything stands on."""

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from werkzeug.wrappers import Request

from infra.local.emulators.calendar.clock import Clock
from infra.local.emulators.calendar.emitter import Emitter
from infra.local.emulators.calendar.knobs import Knobs
from infra.local.emulators.calendar.oauth import Bearer, OAuth, Registration
from infra.local.emulators.calendar.store import Calendar, Provider, Store

_LOOPBACK: Final = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?/.*")


@dataclass(frozen=True, slots=True)
class World:
    """What there is one of in a server. `origin` is its address."""

    origin: str
    apps: Registration
    store: Store
    clock: Clock
    knobs: Knobs
    oauth: OAuth
    emitter: Emitter

    def primary(self, provider: Provider, account: str) -> Calendar:
        """Somebody's own calendar; made when they are named first."""
        known = self.store.calendars(provider, account)
        if found := next((each for each in known if each.is_primary), None):
            return found
        calendar_id, title = (account, account) if provider == "google" else (fresh_calendar_id(account), "Calendar")
        return self.store.add_calendar(provider, account, calendar_id, title, "UTC", is_primary=True, app=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the application to a vendor."""

    request: Request
    bearer: Bearer | None
    asker: str | None = None
    """The account that it is about, as far as that can be told before anything is checked."""

    @property
    def account(self) -> str:
        """Who asks; only where `bearer` was checked."""
        assert self.bearer is not None  # noqa: S101 - routes check it first
        return self.bearer.account

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; empty when there is none. Raises `ValueError`."""
        if not self.request.get_data():
            return {}
        given = self.request.get_json(force=True)
        if not isinstance(given, dict):
            raise ValueError("not an object")
        return given

    def prefers(self, name: str) -> str | None:
        """The value of a preference (`Prefer: outlook.timezone="UTC"`)."""
        given = ",".join(self.request.headers.getlist("Prefer"))
        found = re.search(rf'{re.escape(name)}\s*=\s*"?([^",;]+)"?', given, re.IGNORECASE)
        return found[1].strip() if found else None


def matches(etag: str, given: Iterable[str]) -> bool:
    """Whether a condition names this entity tag; both vendors compare weakly."""
    tags = {each.strip().removeprefix("W/") for value in given for each in value.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def is_loopback(url: str) -> bool:
    """Where the emitter may post to: this machine, and nowhere else."""
    return bool(_LOOPBACK.fullmatch(url))


def fresh_calendar_id(seed: str | None = None) -> str:
    """An id of a Graph calendar; the same for the same seed."""
    raw = hashlib.sha256(seed.encode()).digest() if seed else secrets.token_bytes(32)
    return "AQMk" + urlsafe_b64encode(raw).rstrip(b"=").decode()
