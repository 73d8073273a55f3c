"""Graph's change notifications: subscriptions with their handshake, items, and what is said of their life."""

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from werkzeug.wrappers import Response

from infra.local.emulators.calendar.call import Call, World, is_loopback
from infra.local.emulators.calendar.clock import stamp
from infra.local.emulators.calendar.emitter import attempt, batch
from infra.local.emulators.calendar.errors import answer, graph
from infra.local.emulators.calendar.graph_events import mutable_id
from infra.local.emulators.calendar.store import Changed, Document

MIN_LIFE, MAX_LIFE = timedelta(minutes=45), timedelta(minutes=10_080)
HANDSHAKE_SECONDS: Final = 10
_MOST_STATE: Final = 128
_TENANT: Final = "00000000-0000-0000-0000-000000000000"
_RESOURCE: Final = re.compile(r"/?(?:me|users/[^/]+)(?:/calendars/(?P<calendar>[^/]+))?/events", re.IGNORECASE)
_KINDS: Final = ("created", "updated", "deleted")
_NOT_FOUND: Final = graph(404, "ResourceNotFound", "The object was not found.")


class GraphSubscriptions:
    """See the module. Only `create` calls somebody, and so runs outside of a transaction."""

    def __init__(self, world: World) -> None:
        self._world, self._store = world, world.store

    def create(self, call: Call) -> Response:
        """POST /subscriptions: both addresses must answer the handshake first."""
        body = call.body
        with self._store.transaction():
            wanted = self._checked(call, body)
        for name in ("notificationUrl", "lifecycleNotificationUrl"):
            if body.get(name):
                self._shake_hands(str(body[name]))
        with self._store.transaction():
            made = {"id": _fresh_id(), **wanted, "expirationDateTime": stamp(self._granted(body))}
            self._store.keep("subscription", made["id"], made | {"clientState": body.get("clientState")})
        return answer(_shown(made), 201)

    def list(self, call: Call) -> Response:
        """GET /subscriptions of the account."""
        own = (each for each in self._living().values() if each["account"] == call.account)
        return answer({"value": [_shown(each) for each in own]})

    def get(self, call: Call, subscription: str) -> Response:
        """GET one."""
        return answer(_shown(self._own(call, subscription)))

    def renew(self, call: Call, subscription: str) -> Response:
        """PATCH: another end. The lifecycle address cannot be changed."""
        body, known = call.body, self._own(call, subscription)
        if "lifecycleNotificationUrl" in body:
            raise graph(400, "ValidationError", "lifecycleNotificationUrl cannot be changed.")
        renewed = known | {"expirationDateTime": stamp(self._granted(body))}
        self._store.keep("subscription", subscription, renewed)
        return answer(_shown(renewed))

    def reauthorise(self, call: Call, subscription: str) -> Response:
        """POST …/reauthorize."""
        self._own(call, subscription)
        return Response(status=204)

    def delete(self, call: Call, subscription: str) -> Response:
        """DELETE one."""
        self._own(call, subscription)
        self._store.forget("subscription", subscription)
        return Response(status=204)

    def notify(self, changes: Sequence[Changed]) -> None:
        """An item for each change that a subscription is about."""
        for subscription in self._living().values():
            for each in changes:
                if _is_about(subscription, each):
                    self._world.emitter.graph(subscription["notificationUrl"], self._item(subscription, each))

    def lifecycle(self, subscription: str, event: str) -> None:
        """`reauthorizationRequired`, `subscriptionRemoved` (which ends it) or `missed`. Raises `KeyError`."""
        known = self._living()[subscription]
        url = known.get("lifecycleNotificationUrl") or known["notificationUrl"]
        self._world.emitter.graph(url, _about(known) | {"lifecycleEvent": event})
        if event == "subscriptionRemoved":
            self._store.forget("subscription", subscription)

    def forge(self, subscription: str, *, state: str, count: int = 1) -> None:
        """Items in one message that only look like a subscription's. Raises `KeyError`."""
        known = self._living()[subscription]
        false = _about(known) | {"clientState": state, "changeType": "updated", "resource": "Users/x/Events/y"}
        self._world.emitter.post(batch(known["notificationUrl"], [false] * count))

    def _checked(self, call: Call, body: Mapping[str, Any]) -> Document:
        found = _RESOURCE.fullmatch(str(body.get("resource", "")))
        kinds = [kind.strip() for kind in str(body.get("changeType", "")).split(",")]
        if found is None or not set(kinds) <= set(_KINDS) or not body.get("expirationDateTime"):
            raise graph(400, "ValidationError", "The subscription is not valid: resource, changeType or its end.")
        if len(body.get("clientState") or "") > _MOST_STATE:
            raise graph(400, "ValidationError", "clientState has 128 characters at most.")
        given = [body.get(name) for name in ("notificationUrl", "lifecycleNotificationUrl")]
        if not given[0] or not all(is_loopback(str(url)) for url in given if url):
            raise graph(400, "ValidationError", "The emulator posts to addresses of this machine only.")
        if found["calendar"] and not self._store.calendar("microsoft", call.account, found["calendar"]):
            raise graph(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        return {
            "account": call.account,
            "calendar": found["calendar"],
            "kinds": kinds,
            "resource": body["resource"],
            "changeType": body["changeType"],
            "notificationUrl": given[0],
            "lifecycleNotificationUrl": given[1],
            "immutable": call.prefers("IdType") == "ImmutableId",
        }

    def _shake_hands(self, url: str) -> None:
        token = f"Validation: Testing client application reachability & more {secrets.token_hex(8)}"
        called = f"{url}{'&' if '?' in url else '?'}validationToken={quote(token, safe='')}"
        status, kind, said = attempt(called, {"Content-Type": "text/plain; charset=utf-8"}, b"", HANDSHAKE_SECONDS)
        if status != 200 or not kind.startswith("text/plain") or said != token.encode():
            raise graph(400, "ValidationError", "Subscription validation request failed.")

    def _granted(self, body: Mapping[str, Any]) -> datetime:
        now = self._world.clock.now()
        given = datetime.fromisoformat(str(body["expirationDateTime"]))
        asked = given if given.tzinfo else given.replace(tzinfo=UTC)
        return min(max(asked, now + MIN_LIFE), now + MAX_LIFE)

    def _living(self) -> dict[str, Document]:
        now, known = self._world.clock.now(), self._store.documents("subscription")
        for name, each in list(known.items()):
            if datetime.fromisoformat(each["expirationDateTime"]) <= now:
                self._store.forget("subscription", name)
                del known[name]
        return known

    def _own(self, call: Call, subscription: str) -> Document:
        known = self._living().get(subscription)
        if known is None or known["account"] != call.account:
            raise _NOT_FOUND
        return known

    def _item(self, subscription: Document, change: Changed) -> Document:
        row = change.row
        event_id = row.event_id if subscription["immutable"] else mutable_id(change.calendar, row.event_id)
        resource = f"Users/{change.calendar.account}/Events/{event_id}"
        data = {"@odata.type": "#Microsoft.Graph.Event", "@odata.id": resource, "id": event_id}
        return _about(subscription) | {"changeType": change.kind, "resource": resource, "resourceData": data}


def _is_about(subscription: Document, change: Changed) -> bool:
    calendar = subscription["calendar"] in (None, change.calendar.calendar_id)
    return calendar and subscription["account"] == change.calendar.account and change.kind in subscription["kinds"]


def _about(subscription: Document) -> Document:
    return {
        "subscriptionId": subscription["id"],
        "subscriptionExpirationDateTime": subscription["expirationDateTime"],
        "clientState": subscription.get("clientState"),
        "tenantId": _TENANT,
    }


def _shown(subscription: Document) -> Document:
    names = ("id", "resource", "changeType", "notificationUrl", "lifecycleNotificationUrl", "expirationDateTime")
    return {name: subscription[name] for name in names if subscription.get(name) is not None}


def _fresh_id() -> str:
    raw = secrets.token_hex(16)
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"
