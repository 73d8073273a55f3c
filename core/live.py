"""Live events: hints for the screens of the people they concern that something changed. Ids only; REST has the rest.

They are said inside a transaction and leave after its commit. Each person has a bounded stream in Redis, from which a
client that was away reads what it missed; the same script publishes to the Socket.IO servers, in the order of the
stream. What cannot be handed to Redis breaks the streams it was meant for: their readers are told to fetch anew, so an
event is never missing without a word.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

import orjson
from prometheus_client import Counter
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from core.redis import Redis, RedisAway, Script

CHANNEL: Final = "petfolio:live"
LENGTH: Final = 100
"""Events a person's stream keeps; who missed more fetches anew."""
KEPT_SECONDS: Final = 24 * 3600
CALL_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 0.5
CLOSE_SECONDS: Final = 1.0
_SAID: Final = "live"
_EVENT_ID: Final = re.compile(r"\d{1,20}-\d{1,20}")

EVENTS: Final = Counter("petfolio_live_events_total", "Live events by what became of them.", ["result"])


class Name(StrEnum):
    """What can be said. `docs/asyncapi.yaml` describes each."""

    OCCURRENCE_SCHEDULED = "occurrence.scheduled"
    OCCURRENCE_DUE = "occurrence.due"
    OCCURRENCE_DONE = "occurrence.done"
    OCCURRENCE_SKIPPED = "occurrence.skipped"
    OCCURRENCE_MISSED = "occurrence.missed"
    OCCURRENCE_CANCELLED = "occurrence.cancelled"
    OCCURRENCE_COALESCED = "occurrence.coalesced"
    OCCURRENCE_UPDATED = "occurrence.updated"
    APPOINTMENT_UPDATED = "appointment.updated"
    NOTIFICATION_CREATED = "notification.created"
    NOTIFICATION_READ = "notification.read"
    NOTIFICATION_WITHDRAWN = "notification.withdrawn"
    WORKFLOW_UPDATED = "workflow.updated"
    HOUSEHOLD_UPDATED = "household.updated"
    CALENDAR_UPDATED = "calendar.updated"
    MEDIA_PROGRESS = "media.progress"
    MEDIA_READY = "media.ready"
    MEDIA_REJECTED = "media.rejected"
    MEDIA_REMOVED = "media.removed"


READY: Final = "stream.ready"
"""What a client hears first: where the stream stands, and what it missed."""
RESET: Final = "stream.reset"
"""Something may be missing: fetch anew what is shown."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event for one person."""

    user_id: UUID
    name: Name
    data: dict[str, object]


def say(session: AsyncSession, people: Iterable[UUID], name: Name, **data: object) -> None:
    """Tell these people after the commit of this transaction. `data`: ids and words of ours."""
    said: list[Event] = session.info.setdefault(_SAID, [])
    said.extend(Event(person, name, data) for person in people)


def stream_key(user_id: UUID) -> str:
    """Where a person's stream is."""
    return f"live:{{{user_id}}}"


def room_of(user_id: UUID) -> str:
    """The Socket.IO room of a person's connections."""
    return f"user:{user_id}"


# What python-socketio's managers send each other (socketio/async_pubsub_manager.py, `emit`); tests/api/test_live.py
# reads it through the real one.
_MESSAGE = (
    """'{"method":"emit","binary":false,"namespace":"/","skip_sid":null,"callback":null,"host_id":"","""
    """"room":"' .. ARGV[1] .. '","event":"' .. name .. '","data":[{' .. data .. '}]}'"""
)
_PUBLISH = Script.of(
    f"""local id = redis.call('XADD', KEYS[1], 'MAXLEN', {LENGTH}, '*', 'name', ARGV[2], 'data', ARGV[3])
redis.call('EXPIRE', KEYS[1], {KEPT_SECONDS})
local name, data = ARGV[2], '"event_id":"' .. id .. '",' .. ARGV[3]
redis.call('PUBLISH', '{CHANNEL}', {_MESSAGE})"""
)
_BREAK = Script.of(
    f"""redis.call('DEL', KEYS[1])
local name, data = '{RESET}', ''
redis.call('PUBLISH', '{CHANNEL}', {_MESSAGE})"""
)


class Live:
    """Hands events of this process to Redis, one after the other, so that their order is that of the commits."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: deque[Event] = deque()
        self._broken: set[UUID] = set()
        self._task: asyncio.Task[None] | None = None

    def publish(self, events: Iterable[Event]) -> None:
        """Send them as soon as may be. Never waits and never fails."""
        self._waiting.extend(events)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._send())

    def committed(self, session: Session) -> None:
        """Publish what was said in the transaction."""
        if said := session.info.pop(_SAID, None):
            self.publish(said)

    async def close(self) -> None:
        """Give what is waiting a last chance."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
            self._task.cancel()

    async def _send(self) -> None:
        while self._waiting or self._broken:
            while self._waiting:
                event = self._waiting.popleft()
                if event.user_id not in self._broken and not await self._sent(event):
                    self._broken.add(event.user_id)
            if self._broken:
                await self._mend()

    async def _sent(self, event: Event) -> bool:
        words = orjson.dumps(event.data, default=str)[1:-1]  # the driver's UUIDs are a class of their own
        room, key = room_of(event.user_id), stream_key(event.user_id)
        try:
            await self._redis.run(_PUBLISH, 1, key, room, event.name, words)
        except RedisAway:
            EVENTS.labels("lost").inc()
            return False
        EVENTS.labels("published").inc()
        return True

    async def _mend(self) -> None:
        """Close the streams in which something is missing. An event whose script may have run is one of them."""
        try:
            for user_id in tuple(self._broken):
                await self._redis.run(_BREAK, 1, stream_key(user_id), room_of(user_id))
                self._broken.discard(user_id)
        except RedisAway:
            await asyncio.sleep(RETRY_SECONDS)


@asynccontextmanager
async def publishing(redis_url: str, sessions: type[Session]) -> AsyncIterator[None]:
    """Publish what is said in sessions of this class, after each commit.

    On a connection of its own, more patient than that of requests: an event that comes late breaks no stream.
    """
    redis = Redis(redis_url, call_seconds=CALL_SECONDS)
    live = Live(redis)
    sqlalchemy_event.listen(sessions, "after_commit", live.committed)
    try:
        yield
    finally:
        sqlalchemy_event.remove(sessions, "after_commit", live.committed)
        await live.close()
        await redis.close()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person's stream stands for a client: the id of its newest event, and what the client missed.

    `complete`: that is all of it. Otherwise the client fetches anew what it shows.
    """

    last_event_id: str | None
    events: list[dict[str, object]]
    complete: bool


async def standing(redis: Redis, user_id: UUID, last_event_id: str | None) -> Standing:
    """What came after an event. It is complete only if the stream still holds that event. Raises `RedisAway`."""
    key = stream_key(user_id)
    if last_event_id is None or not _EVENT_ID.fullmatch(last_event_id):
        return Standing(_newest(_entries(await redis.call("XREVRANGE", key, "+", "-", "COUNT", 1))), [], complete=False)
    entries = _entries(await redis.call("XRANGE", key, last_event_id, "+"))
    if not entries or entries[0]["event_id"] != last_event_id:
        return Standing(_newest(entries[-1:]), [], complete=False)
    return Standing(_newest(entries[-1:]), entries[1:], complete=True)


def _newest(entries: list[dict[str, object]]) -> str | None:
    return str(entries[0]["event_id"]) if entries else None


def _entries(reply: object) -> list[dict[str, object]]:
    """`{"event_id", "name", "data"}` of each entry."""
    found: list[dict[str, object]] = []
    for entry in reply if isinstance(reply, list) else ():
        key, (_, name, _, words) = entry
        data = orjson.loads(b'{"event_id":"' + key + b'",' + words + b"}")
        found.append({"event_id": key.decode(), "name": name.decode(), "data": data})
    return found
