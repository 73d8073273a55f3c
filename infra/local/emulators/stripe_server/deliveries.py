"""A message to an endpoint: what it says, how it is signed, and what became of it."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from stripe import WebhookSignature

from infra.local.emulators.stripe_server.documents import public
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.sdk import object_class

Format = Literal["snapshot", "thin"]
State = Literal["waiting", "delivered", "failed", "dropped"]


@dataclass(slots=True)
class Attempt:
    """One POST: when, on the account's clock and on the wall's, and its status; None where nobody answered."""

    at: int
    wall: float
    status: int | None


@dataclass(slots=True)
class Delivery:
    """An event on its way to an endpoint."""

    event: Document
    endpoint: Document
    format: Format
    api_version: str
    state: State = "waiting"
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def body(self) -> str:
        """What is posted: indented, as Stripe writes it."""
        shown = thin(self.event) if self.format == "thin" else public(self.event) | {"api_version": self.api_version}
        return json.dumps(shown, indent=2)

    def about(self) -> dict[str, Any]:
        """For the delivery log."""
        attempts = [{"at": each.at, "wall": each.wall, "status": each.status} for each in self.attempts]
        about = {"event": self.event["id"], "type": self.event["type"], "endpoint": self.endpoint["id"]}
        return about | {"url": self.endpoint["url"], "format": self.format, "state": self.state, "attempts": attempts}


def signature(body: str, secrets: Sequence[str]) -> str:
    """`Stripe-Signature` with one `v1` per secret. Its time is the wall's: the receiver knows no other."""
    stamp = int(time.time())
    headers = [WebhookSignature.generate_signature_header(body, secret, stamp) for secret in secrets]
    return ",".join([headers[0], *(header.partition(",")[2] for header in headers[1:])])


def thin(event: Document) -> Document:
    """The event without its object."""
    about = event["data"]["object"]
    created = datetime.fromtimestamp(event["created"], UTC).isoformat(timespec="milliseconds")
    return {
        "id": event["_thin_id"],
        "object": "v2.core.event",
        "type": f"v1.{event['type']}",
        "created": created.replace("+00:00", "Z"),
        "livemode": event["livemode"],
        "reason": _reason(event),
        "related_object": {"id": about["id"], "type": about["object"], "url": _url(about)},
    }


def _reason(event: Document) -> Document | None:
    cause = event["request"]
    return {"type": "request", "request": dict(cause)} if cause["id"] else None


def _url(document: Document) -> str:
    found = object_class(document["object"])
    return f"{found.class_url()}/{document['id']}" if hasattr(found, "class_url") else f"/v1/{document['object']}s"


def listens(endpoint: Document, event_type: str) -> bool:
    """Whether an endpoint is told of this type."""
    wanted = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in wanted or event_type in wanted)
