"""People who upload photos to a platform: each with a pet, a line to storage, and an ear on their live stream."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect

from bench.platform import Platform
from core import live
from tests.person import Person, sign_up
from tests.stack import Inbox

_SHOWN_SECONDS: Final = 600
_EVENT: Final = "42"
"""Of Socket.IO's protocol: a packet with a name and its data follows."""


@dataclass(slots=True)
class Told:
    """What the live stream said of a photo, and when, by `time.perf_counter`."""

    first: float = 0.0
    name: str = ""
    shown: asyncio.Event = field(default_factory=asyncio.Event)
    last: float = 0.0


class Ear:
    """Listens to one person's live stream."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._told = connection, dict[str, Told]()
        self.listening = asyncio.create_task(self._listen())

    def of(self, media_id: str) -> Told:
        """What was said of it, or will be."""
        return self._told.setdefault(media_id, Told())

    @property
    def photos(self) -> int:
        """Of how many photos something was said."""
        return sum(told.first > 0 for told in self._told.values())

    async def _listen(self) -> None:
        async for packet in self._connection:
            if packet == "2":  # Engine.IO's ping
                await self._connection.send("3")
            elif isinstance(packet, str) and packet.startswith(_EVENT) and '"media.' in packet:
                name, data = json.loads(packet.removeprefix(_EVENT))
                self._hear(name, self.of(data["media_id"]), time.perf_counter())

    @staticmethod
    def _hear(name: str, told: Told, now: float) -> None:
        told.first, told.last = told.first or now, now
        if name in (live.Name.MEDIA_READY, live.Name.MEDIA_REJECTED):
            told.name = name
            told.shown.set()


@dataclass(frozen=True, slots=True)
class Published:
    """One photo, in seconds: from `complete` to the first word, and to its publication at `at`."""

    feedback: float
    took: float
    at: float


@dataclass(frozen=True, slots=True)
class Uploader:
    """One person, as the app of theirs behaves."""

    person: Person
    storage: httpx.AsyncClient
    ear: Ear

    async def begin(self, size: int, sha256: str, content_type: str = "image/jpeg") -> dict[str, Any]:
        """Announced."""
        about = {"filename": "Milo.jpg", "purpose": "document", "pet_id": self.person.pet_id}
        about |= {"content_type": content_type, "sha256": sha256}
        answer = await self.person.call("POST", "/media/uploads", json=about | {"size": size})
        return dict(answer.raise_for_status().json())

    async def upload(self, content: bytes) -> Published:
        """Announced, sent, completed, and waited for. SystemExit for a photo that is not published."""
        upload = await self.begin(len(content), hashlib.sha256(content).hexdigest())
        fields = {name: (None, value) for name, value in upload["form"]["fields"].items()}
        sent = await self.storage.post(upload["form"]["url"], files=fields | {"file": ("blob", content)})
        sent.raise_for_status()
        told, began = self.ear.of(upload["media_id"]), time.perf_counter()
        (await self.person.call("POST", f"/media/uploads/{upload['id']}/complete")).raise_for_status()
        await asyncio.wait_for(told.shown.wait(), _SHOWN_SECONDS)
        if told.name != live.Name.MEDIA_READY:
            raise SystemExit("a photo was refused")
        return Published(told.first - began, told.last - began, told.last)


@asynccontextmanager
async def uploaders(on: Platform, count: int) -> AsyncIterator[Sequence[Uploader]]:
    """So many people, who have signed up through the API and listen."""
    status = await on.stack.status()
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(httpx.AsyncClient(base_url=status["api_url"], timeout=60))
        inbox = await stack.enter_async_context(httpx.AsyncClient(base_url=status["inbox_url"], timeout=60))
        storage = await stack.enter_async_context(httpx.AsyncClient(timeout=120))
        people = []
        for _ in range(count):
            person = await sign_up(api, Inbox(inbox))
            people.append(Uploader(person, storage, await stack.enter_async_context(_listening(on, person))))
        yield people


@asynccontextmanager
async def _listening(on: Platform, person: Person) -> AsyncIterator[Ear]:
    url = f"ws://127.0.0.1:{on.env['PETFOLIO_API__PORT']}/socket.io/?EIO=4&transport=websocket"
    async with connect(url, compression=None, ping_interval=None, proxy=None) as connection:
        await connection.send(f'40{{"token":"{person.access_token}"}}')
        while live.READY not in (packet := str(await connection.recv())):
            if packet.startswith("44"):
                raise SystemExit(f"not let in: {packet}")
        ear = Ear(connection)
        try:
            yield ear
        finally:
            ear.listening.cancel()
