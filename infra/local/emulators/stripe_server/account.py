"""One account: everything behind an API key. Accounts share nothing, so tests can run side by side."""

import asyncio
import secrets
import string
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from infra.local.emulators.stripe_server.clock import Clock
from infra.local.emulators.stripe_server.documents import previous_attributes, public
from infra.local.emulators.stripe_server.faults import Faults
from infra.local.emulators.stripe_server.idempotency import Replays
from infra.local.emulators.stripe_server.ledger import Ledger
from infra.local.emulators.stripe_server.log import Log
from infra.local.emulators.stripe_server.objects import Document, Objects
from infra.local.emulators.stripe_server.sdk import API_VERSION
from infra.local.emulators.stripe_server.settings import Settings
from infra.local.emulators.stripe_server.signing import endpoint_secret
from infra.local.emulators.stripe_server.webhooks import Post, Webhooks

_ALPHABET: Final = string.ascii_letters + string.digits
_ID_LENGTH: Final = 24


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What an event says of the request that caused it."""

    id: str
    idempotency_key: str | None


class Account:
    """See the module. `origin` is the address of this server, which hosted pages are linked with; `request` the one
    that is being served, None while a timer runs."""

    def __init__(self, key: str, origin: str, post: Post, seed: str) -> None:
        self.key, self.origin = key, origin
        self.clock, self.objects, self.settings = Clock(), Objects(), Settings()
        self.ledger, self.faults, self.log = Ledger(), Faults(), Log()
        self.replays, self.webhooks = (
            Replays(self.clock),
            Webhooks(self.clock, self.objects, post, partial(endpoint_secret, seed, key)),
        )
        self.request: RequestInfo | None = None
        self._moving = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> int:
        """Seconds since the epoch, on the account's clock."""
        return self.clock.now()

    async def advance(self, until: int) -> None:
        """Move the clock forward. After every timer on the way the messages it caused are delivered, so that what hangs
        on a delivery happens in its order too."""
        async with self._moving:
            await self.webhooks.settle()
            for _ in self.clock.passing(until):
                await self.webhooks.settle()

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something after the answer of the request that is being served."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Nothing happens in it any more."""
        self.webhooks.close()
        for task in self._tasks:
            task.cancel()

    def tick(self) -> None:
        """Run what is due by now."""
        if not self._moving.locked():
            self.clock.move(self.now())

    def new_id(self, prefix: str) -> str:
        """`cus_…`: never used before."""
        letters = (_ALPHABET[byte % len(_ALPHABET)] for byte in secrets.token_bytes(_ID_LENGTH))
        return f"{prefix}_{''.join(letters)}"

    def make(self, kind: str, prefix: str, **fields: Any) -> Document:
        """A new stored document with what every object has; `metadata` is empty unless it is given."""
        about = {"id": self.new_id(prefix), "object": kind, "created": self.now(), "livemode": False}
        return self.objects.put(about | {"metadata": {}} | fields)

    def emit(
        self,
        event_type: str,
        document: Document,
        previous: Document | None = None,
        delivered: Callable[[], object] | None = None,
    ) -> Document:
        """Tell of a change: an event with the document as of now. `delivered` is called once every endpoint that
        listens has answered 2xx; at once where none does."""
        data = {"object": public(document)} | ({"previous_attributes": previous} if previous else {})
        cause = self.request
        event = self.objects.put(
            {
                "id": self.new_id("evt"),
                "object": "event",
                "api_version": API_VERSION,
                "created": self.now(),
                "data": data,
                "livemode": False,
                "pending_webhooks": 0,
                "request": {"id": cause and cause.id, "idempotency_key": cause and cause.idempotency_key},
                "type": event_type,
                "_thin_id": self.new_id("evt"),
            }
        )
        self.webhooks.enqueue(event, delivered)
        return event

    @contextmanager
    def changing(self, document: Document, event_type: str) -> Iterator[Document]:
        """Change a document within the block; one event tells of it, with what it was before. None if nothing changed,
        or if the block raised."""
        before = public(document)
        yield document
        if previous := previous_attributes(before, public(document)):
            self.emit(event_type, document, previous)


class Accounts:
    """Every account of the server by its key; one exists from the moment its key is used."""

    def __init__(self, origin: str, post: Post, seed: str) -> None:
        self._origin, self._post, self._seed = origin, post, seed
        self._accounts: dict[str, Account] = {}

    def of(self, key: str) -> Account:
        """The account of a key."""
        if key not in self._accounts:
            self._accounts[key] = Account(key, self._origin, self._post, self._seed)
        return self._accounts[key]

    def holding(self, object_id: str) -> Account | None:
        """The account that has an object, for pages that people open without a key."""
        return next((each for each in self if each.objects.maybe(object_id)), None)

    def forget(self, key: str) -> None:
        """As if the key had never been used."""
        if account := self._accounts.pop(key, None):
            account.close()

    def __iter__(self) -> Iterator[Account]:
        return iter(list(self._accounts.values()))
