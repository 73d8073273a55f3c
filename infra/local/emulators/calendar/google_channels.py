"""Google's push channels: opened by `events.watch`, told of every change until they end."""

import random
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from infra.local.emulators.calendar.call import World, is_loopback
from infra.local.emulators.calendar.errors import google
from infra.local.emulators.calendar.store import Calendar, Changed, Document

MOST_SECONDS: Final = 604_800
"""The granted maximum, and what is granted where nothing is asked for."""


class GoogleChannels:
    """See the module. Methods run in a transaction of the store."""

    def __init__(self, world: World) -> None:
        self._world, self._store = world, world.store

    def open(self, calendar: Calendar, body: Mapping[str, Any]) -> Document:
        """A channel as it is granted; its first message is on its way."""
        name, address = str(body.get("id", "")), str(body.get("address", ""))
        if not 1 <= len(name) <= 64 or body.get("type") != "web_hook":
            raise google(400, "required", "Missing or invalid channel.")
        if not is_loopback(address):
            raise google(400, "push.webhookUrlNotHttps", f"The emulator posts to this machine only: {address}")
        if self._store.document("channel", name):
            raise google(400, "channelIdNotUnique", f"Channel id {name} not unique")
        channel = {
            "id": name,
            "resourceId": secrets.token_urlsafe(20),
            "calendar": calendar.key,
            "account": calendar.account,
            "resourceUri": f"{self._world.origin}/calendar/v3/calendars/{calendar.calendar_id}/events?alt=json",
            "token": body.get("token"),
            "address": address,
            "expiration": self._granted(body),
            "number": 1,
        }
        self._store.keep("channel", name, channel)
        self._tell(channel, "sync")
        shown = {key: channel[key] for key in ("id", "resourceId", "resourceUri", "token") if channel[key] is not None}
        return {"kind": "api#channel", **shown, "expiration": str(channel["expiration"])}

    def stop(self, account: str, body: Mapping[str, Any]) -> None:
        """End it; 404 for one that is not known under this resource."""
        channel = self._store.document("channel", str(body.get("id")))
        if channel is None or channel["resourceId"] != body.get("resourceId") or channel["account"] != account:
            raise google(404, "notFound", f"Channel '{body.get('id')}' not found for project.")
        self.end(channel["id"])

    def end(self, name: str) -> None:
        """No message follows."""
        self._store.forget("channel", name)

    def notify(self, changes: Sequence[Changed]) -> None:
        """Tell the channels of the calendars that changed, once per change."""
        now = self._world.clock.seconds() * 1_000
        for channel in self._store.documents("channel").values():
            if channel["expiration"] <= now:
                self.end(channel["id"])
                continue
            for _ in (each for each in changes if each.calendar.key == channel["calendar"]):
                channel["number"] += random.randint(1, 3)  # noqa: S311 - increasing, with gaps
                self._store.keep("channel", channel["id"], channel)
                self._tell(channel, "exists")

    def forge(self, name: str, *, token: str | None = None, channel_id: str | None = None, body: bytes = b"") -> None:
        """A message that only looks like one of a channel's."""
        channel = self._store.document("channel", name)
        if channel is None:
            raise KeyError(name)
        false = channel | {"token": token or channel["token"], "id": channel_id or channel["id"]}
        self._world.emitter.google(channel["address"], _headers(false, "exists"), body)

    def _tell(self, channel: Document, state: str) -> None:
        def is_open() -> bool:
            with self._store.transaction():
                known = self._store.document("channel", channel["id"])
            return known is not None and known["expiration"] > self._world.clock.seconds() * 1_000

        self._world.emitter.google(channel["address"], _headers(channel, state), is_wanted=is_open)

    def _granted(self, body: Mapping[str, Any]) -> int:
        now = int(self._world.clock.seconds() * 1_000)
        ttl = (body.get("params") or {}).get("ttl")
        asked = int(body["expiration"]) if body.get("expiration") else now + int(ttl or MOST_SECONDS) * 1_000
        if asked <= now:
            raise google(400, "invalid", "The expiration lies in the past.")
        return min(asked, now + MOST_SECONDS * 1_000)


def _headers(channel: Document, state: str) -> dict[str, str]:
    expires = datetime.fromtimestamp(channel["expiration"] / 1_000, UTC)
    headers = {
        "X-Goog-Channel-ID": channel["id"],
        "X-Goog-Channel-Expiration": format_datetime(expires, usegmt=True),
        "X-Goog-Resource-ID": channel["resourceId"],
        "X-Goog-Resource-URI": channel["resourceUri"],
        "X-Goog-Resource-State": state,
        "X-Goog-Message-Number": str(channel["number"]),
    }
    return headers | ({"X-Goog-Channel-Token": channel["token"]} if channel["token"] is not None else {})
