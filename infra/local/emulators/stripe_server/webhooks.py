"""Posts events to the account's endpoints: signed, out of order unless asked otherwise, again until they are taken.

Messages go out in an asyncio task that lives as long as something waits; retries and delays run on the account's clock.
"""

import asyncio
import random
import re
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from infra.local.emulators.stripe_server.clock import Clock
from infra.local.emulators.stripe_server.deliveries import Attempt, Delivery, Format, listens, signature
from infra.local.emulators.stripe_server.objects import Document, Objects
from infra.local.emulators.stripe_server.sdk import API_VERSION

Post = Callable[[str, bytes, dict[str, str]], Awaitable[int | None]]
"""(url, body, headers) → status; None where nobody answered."""
_GAPS: Final = (10, 60, 300, 1_800, 7_200, 18_000, 36_000)
_LAST_GAP: Final = 12 * 3600
_GIVE_UP_AFTER: Final = 3 * 24 * 3600
_KEPT: Final = 20_000
_AT_ONCE: Final = 8


@dataclass(slots=True)
class Rule:
    """What goes wrong with the next `times` messages of types that match."""

    what: Literal["drop", "duplicate", "delay"]
    times: int = 1
    types: str = ".*"
    seconds: int = 60

    def __post_init__(self) -> None:
        if self.what not in ("drop", "duplicate", "delay"):
            raise ValueError("what is drop, duplicate or delay")


@dataclass(slots=True)
class Wire:
    """How messages travel. `order`: scrambled, as emitted, reversed, or as their types stand in a list; `hold` keeps
    them all until it ends; `format` and `api_version` change what they say."""

    order: Literal["scrambled", "emitted", "reversed"] | list[str] = "scrambled"
    hold: bool = False
    format: Format | Literal["both"] = "snapshot"
    api_version: str | None = None
    rules: list[Rule] = field(default_factory=list)

    def formats(self) -> tuple[Format, ...]:
        """Those that every event is sent in."""
        return ("snapshot", "thin") if self.format == "both" else (self.format,)

    def rule(self, event_type: str) -> Rule | None:
        """The rule that a message meets; counts it."""
        found = next((rule for rule in self.rules if re.fullmatch(rule.types, event_type)), None)
        if found:
            found.times -= 1
            self.rules = [rule for rule in self.rules if rule.times > 0]
        return found


class Webhooks:
    """See the module."""

    def __init__(self, clock: Clock, objects: Objects, post: Post, secret: Callable[[str, int], str]) -> None:
        self._clock, self._objects, self._post, self._secret = clock, objects, post, secret
        self._waiting: list[Delivery] = []
        self._open: dict[str, list[Delivery]] = defaultdict(list)
        self._delivered: dict[str, Callable[[], object]] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._random = random.Random(0)  # noqa: S311 - the same disorder in every run
        self.wire = Wire()
        self.log: deque[Delivery] = deque(maxlen=_KEPT)

    def secret(self, url: str) -> str:
        """The first secret of the endpoint at an address."""
        return self._secret(url, 0)

    def rotate(self, endpoint: Document) -> str:
        """A new secret; messages carry the signatures of both from now on. Answers it."""
        fresh = self._secret(endpoint["url"], endpoint["_rotations"] + 1)
        endpoint |= {"_secrets": [fresh, endpoint["_secrets"][0]], "_rotations": endpoint["_rotations"] + 1}
        return fresh

    def enqueue(self, event: Document, delivered: Callable[[], object] | None = None) -> None:
        """Send an event to whoever listens. `delivered` is called once all have taken it; at once for nobody."""
        endpoints = self._objects.find("webhook_endpoint", lambda each: listens(each, event["type"]))
        event["pending_webhooks"] = len(endpoints)
        if not endpoints and delivered:
            delivered()
        elif delivered:
            self._delivered[event["id"]] = delivered
        for endpoint in endpoints:
            for form in self.wire.formats():
                self._send(self._delivery(event, endpoint, form))

    def replay(self, event: Document) -> int:
        """Send an event again to whoever listens now; answers to how many."""
        endpoints = self._objects.find("webhook_endpoint", lambda each: listens(each, event["type"]))
        for endpoint in endpoints:
            for form in self.wire.formats():
                self._dispatch(self._delivery(event, endpoint, form))
        return len(endpoints)

    def rewire(self, wire: Wire) -> None:
        """Messages travel otherwise from now on, also those that wait."""
        self.wire = wire
        self._wake()

    def release(self) -> None:
        """What was held goes out."""
        self.rewire(replace(self.wire, hold=False))

    def succeeded(self, event_id: str) -> bool:
        """Whether every endpoint that listened has taken an event."""
        return all(each.state == "delivered" for each in self._open.get(event_id, ()))

    def close(self) -> None:
        """Nothing is sent any more."""
        self._is_closed = True
        if self._task:
            self._task.cancel()

    async def settle(self) -> None:
        """Until everything that is due has been attempted once. Raises what a caller of `enqueue` raised when it was
        told of a delivery."""
        while self._task and not self._task.done():
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    def _delivery(self, event: Document, endpoint: Document, form: Format) -> Delivery:
        version = self.wire.api_version or endpoint["api_version"] or API_VERSION
        delivery = Delivery(event, endpoint, form, version)
        self.log.append(delivery)
        self._open[event["id"]].append(delivery)
        return delivery

    def _send(self, delivery: Delivery) -> None:
        """On its way, unless a rule holds for it."""
        rule = self.wire.rule(delivery.event["type"])
        if rule is None:
            self._dispatch(delivery)
        elif rule.what == "drop":
            delivery.state = "dropped"
        elif rule.what == "delay":
            self._clock.at(self._clock.now() + rule.seconds, lambda: self._dispatch(delivery))
        else:
            self._dispatch(delivery)
            self._dispatch(self._delivery(delivery.event, delivery.endpoint, delivery.format))

    def _dispatch(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        self._wake()

    def _wake(self) -> None:
        """Without a loop, in a test of what is synchronous, messages wait."""
        is_running = self._task is not None and not self._task.done()
        if self.wire.hold or not self._waiting or is_running or self._is_closed:
            return
        with suppress(RuntimeError):
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._waiting and not self.wire.hold:
            batch, self._waiting = self._ordered(self._waiting), []
            width = _AT_ONCE if self.wire.order == "scrambled" else 1
            for first in range(0, len(batch), width):
                await asyncio.gather(*map(self._attempt, batch[first : first + width]))

    def _ordered(self, batch: list[Delivery]) -> list[Delivery]:
        match self.wire.order:
            case "scrambled":
                return self._random.sample(batch, len(batch))
            case "reversed":
                return batch[::-1]
            case "emitted":
                return batch
            case types:
                return sorted(batch, key=lambda each: _place(types, each.event["type"]))

    async def _attempt(self, delivery: Delivery) -> None:
        if delivery.endpoint["status"] != "enabled":
            delivery.state = "failed"
            return
        body = delivery.body
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(body, delivery.endpoint["_secrets"]),
        }
        status = await self._post(delivery.endpoint["url"], body.encode(), headers)
        delivery.attempts.append(Attempt(self._clock.now(), time.time(), status))
        if status is not None and 200 <= status < 300:
            self._taken(delivery)
        else:
            self._again(delivery)

    def _taken(self, delivery: Delivery) -> None:
        delivery.state = "delivered"
        event = delivery.event
        event["pending_webhooks"] = len({each.endpoint["id"] for each in self._left(event["id"])})
        if not event["pending_webhooks"] and (delivered := self._delivered.pop(event["id"], None)):
            delivered()

    def _left(self, event_id: str) -> list[Delivery]:
        return [each for each in self._open[event_id] if each.state != "delivered"]

    def _again(self, delivery: Delivery) -> None:
        tried = len(delivery.attempts)
        gap = _GAPS[tried - 1] if tried <= len(_GAPS) else _LAST_GAP
        due = self._clock.now() + gap
        if due > delivery.event["created"] + _GIVE_UP_AFTER:
            delivery.state = "failed"
        else:
            self._clock.at(due, lambda: self._dispatch(delivery))


def _place(types: list[str], event_type: str) -> int:
    return types.index(event_type) if event_type in types else len(types)
