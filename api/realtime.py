"""Socket.IO at /socket.io: what changes is heard at once by everybody signed in whom it concerns (docs/asyncapi.yaml).

A connection is let in by an access token, hears its person's room, and ends with its session. Clients say nothing after
that: whatever they want to change goes through REST. What they missed is read from their stream (`core.live`).
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

import redis.asyncio as aioredis
import socketio
from prometheus_client import Gauge
from redis.exceptions import RedisError
from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import Caller, admit
from api.services import Services
from core import live
from core.db import AWAY
from core.errors import PetfolioError, TooManyRequests
from core.logging import logger
from core.redis import Redis, RedisAway
from core.settings import Settings

log = logger(__name__)

PATH: Final = "/socket.io/"
DRAIN_SECONDS: Final = 0.4
"""How late a process that is told to stop begins to end connections."""
SWEEP_SECONDS: Final = 5.0
ANONYMOUS_SECONDS: Final = 10.0
"""How long a transport may be open without having shown a token."""
LONGEST_SECONDS: Final = 12 * 3600
"""Then a client connects anew, with a fresh token."""
MOST_PER_PERSON: Final = 30
MESSAGE_BYTES: Final = 10_000
"""Clients send a token and acknowledgements, nothing bigger."""
_LONGEST_TOKEN: Final = 4_096
_RESUBSCRIBE_SECONDS: Final = 0.5

CONNECTIONS: Final = Gauge("petfolio_live_connections", "Socket.IO connections that are signed in.")


class LiveManager(socketio.AsyncRedisManager):  # type: ignore[misc]  # it has no types
    """The library's manager with a listener of our own: it is back within a second of Redis (theirs waits up to a
    minute), and tells every client here that something may be missing."""

    async def _listen(self) -> AsyncIterator[bytes | dict[str, object]]:
        heard_before = False
        while True:
            client = aioredis.Redis.from_url(self.redis_url, socket_connect_timeout=1, health_check_interval=5)
            try:
                async with client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self.channel)
                    if heard_before:
                        yield {"method": "emit", "event": live.RESET, "data": [{}], "namespace": "/", "room": None}
                    heard_before = True
                    while True:
                        message = await pubsub.get_message(timeout=5)
                        if message is not None:
                            yield message["data"]
            except (RedisError, OSError) as error:
                log.warning("live_away", error=type(error).__name__)
                await asyncio.sleep(_RESUBSCRIBE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Connection:
    caller: Caller
    transport: str
    since: float


class Realtime:
    """The Socket.IO server of one api process: an ASGI middleware that answers below `/socket.io/`."""

    def __init__(self, settings: Settings) -> None:
        redis_url = settings.redis_url.get_secret_value()
        self._redis = Redis(redis_url, call_seconds=live.CALL_SECONDS)
        manager = LiveManager(redis_url, channel=live.CHANNEL)
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            client_manager=manager,
            cors_allowed_origins=[settings.public_url, *settings.api.cors_origins],
            max_http_buffer_size=MESSAGE_BYTES,
            http_compression=False,
        )
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("*", self._refuse)
        self._asgi = socketio.ASGIApp(self._server, socketio_path=PATH)
        self._services: Services | None = None
        self._connections: dict[str, _Connection] = {}
        self._of_session: defaultdict[UUID, set[str]] = defaultdict(set)
        self._of_person: defaultdict[UUID, set[str]] = defaultdict(set)
        self._anonymous: dict[str, float] = {}
        self.draining = False

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """`app`, with Socket.IO in front of it: long polls outlive the deadline of requests."""

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            ours = scope["type"] in ("http", "websocket") and scope["path"].startswith(PATH)
            await (self._asgi if ours else app)(scope, receive, send)

        return dispatch

    @contextlib.asynccontextmanager
    async def serving(self, services: Services) -> AsyncIterator[None]:
        """Let people in, and out again when their session ends."""
        self._services = services
        services.identity.ended.listen(self._end_sessions)
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            await self.close()
            await self._server.shutdown()
            await self._redis.close()

    async def close(self) -> None:
        """End every connection; clients try again elsewhere."""
        for transport in tuple(self._server.eio.sockets):
            await self._end(transport)

    async def _connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        # engineio makes a class per connection for the body of its first request, which has none, and keeps both.
        environ.pop("wsgi.input", None)
        services = self._services
        if services is None or self.draining:
            raise Refused("unavailable", {"code": "unavailable"})
        given: Mapping[str, object] = auth if isinstance(auth, dict) else {}
        caller = await self._admitted(services, given.get("token"))
        if len(self._of_person[caller.user_id]) >= MOST_PER_PERSON:
            raise Refused("too_many_connections", {"code": "too_many_connections"})
        transport = self._server.manager.eio_sid_from_sid(sid, "/")
        self._connections[sid] = _Connection(caller, transport, time.monotonic())
        self._of_session[caller.session_id].add(sid)
        self._of_person[caller.user_id].add(sid)
        CONNECTIONS.set(len(self._connections))
        # First the room, then the stream: what happens in between comes twice rather than never.
        await self._server.enter_room(sid, live.room_of(caller.user_id))
        last = given.get("last_event_id")
        self._server.start_background_task(self._greet, sid, caller, last if isinstance(last, str) else None)

    async def _admitted(self, services: Services, token: object) -> Caller:
        if not isinstance(token, str) or not token.isascii() or len(token) > _LONGEST_TOKEN:
            raise Refused("invalid_token", {"code": "invalid_token"})
        try:
            caller, limit = await admit(services.identity, token)
            if not limit.allowed:
                raise limit.refusal()
        except TooManyRequests as error:
            raise Refused(error.code, {"code": error.code, "retry_after": error.retry_after}) from None
        except PetfolioError as error:
            raise Refused(error.code, {"code": error.code}) from None
        except AWAY:
            raise Refused("unavailable", {"code": "unavailable"}) from None
        return caller

    async def _greet(self, sid: str, caller: Caller, last_event_id: str | None) -> None:
        try:
            standing = await live.standing(self._redis, caller.user_id, last_event_id)
        except RedisAway:
            standing = live.Standing(None, [], complete=False)
        await self._server.emit(live.READY, asdict(standing), to=sid, ignore_queue=True)

    async def _refuse(self, event: str, sid: str, *_said: object) -> dict[str, object]:
        """The answer to whatever a client says: there is no room to ask for, its person's is the only one."""
        return {"error": {"code": "not_supported"}}

    async def _disconnect(self, sid: str, _reason: str) -> None:
        self._forget(sid)

    def _forget(self, sid: str) -> None:
        connection = self._connections.pop(sid, None)
        if connection is None:
            return
        caller = connection.caller
        for index, key in ((self._of_session, caller.session_id), (self._of_person, caller.user_id)):
            index[key].discard(sid)
            if not index[key]:
                del index[key]
        CONNECTIONS.set(len(self._connections))

    async def _watch(self) -> None:
        swept = time.monotonic()
        while True:
            await asyncio.sleep(DRAIN_SECONDS)
            now = time.monotonic()
            if self.draining:
                await self.close()
            if now - swept >= SWEEP_SECONDS:
                swept = now
                try:
                    await self._sweep(now)
                except OSError as error:
                    log.warning("live_sweep", error=type(error).__name__)

    def _end_sessions(self, ended: frozenset[UUID]) -> None:
        """Waits for nobody: whose client does not read is ended by the next sweep, as one that showed no token."""
        for session_id in self._of_session.keys() & ended:
            for sid in tuple(self._of_session[session_id]):
                self._forget(sid)
                self._server.start_background_task(self._server.disconnect, sid, ignore_queue=True)

    async def _sweep(self, now: float) -> None:
        """End transports that never showed a token and connections that are too old; forget those that are gone."""
        open_now = self._server.eio.sockets
        for sid, connection in tuple(self._connections.items()):
            if connection.transport not in open_now:
                self._forget(sid)
                await self._server.manager.disconnect(sid, "/", ignore_queue=True)
            elif now - connection.since > LONGEST_SECONDS:
                await self._end(connection.transport)
        known = {connection.transport for connection in self._connections.values()}
        self._anonymous = {sid: self._anonymous.get(sid, now) for sid in tuple(open_now) if sid not in known}
        for transport, since in self._anonymous.items():
            if now - since > ANONYMOUS_SECONDS:
                await self._end(transport)

    async def _end(self, transport: str) -> None:
        """Close a transport, whatever its client does: `AsyncServer.disconnect` would wait for it to read."""
        socket = self._server.eio.sockets.pop(transport, None)
        if socket is not None:
            await socket.close(wait=False)
            await socket.queue.put(None)  # ends the writer, and with it the WebSocket (engineio/async_socket.py)
