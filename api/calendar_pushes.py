"""Messages of calendar providers: "something has changed". Checked, turned into one bell per calendar, forgotten.

What comes with each message begins with the calendar's id, so nothing is searched for; the rest of it is 256 random
bits, of which the row has a hash. A message about a calendar that is none costs what one with a wrong secret costs, and
is answered alike. Nothing is read of it but who it is from: the calendar is looked at, whatever it says
(calendar-sync.md §4.9).
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from models.calendar_sync import CalendarLink
from models.queries import calendar_pushes as queries
from models.queries.calendar_pushes import Channels
from temporal import outbox

PUSHES: Final = Counter(
    "petfolio_calendar_pushes", "Messages of calendar providers, by result.", ["provider", "result"]
)
MOST_LINKS: Final = 100
"""Calendars that one request may speak of; Graph puts messages about several into one."""
MOST_ITEMS: Final = 20_000
MOST_OF_ONE: Final = 8
"""Messages about one calendar that are looked at; they all say the same."""
_LONGEST: Final = 128
_NOBODY: Final = UUID(int=0)
_NO_HASH: Final = hashlib.sha256(b"").hexdigest()


class Reason(StrEnum):
    """What Graph says of a subscription's life (calendar-sync.md §5.2)."""

    REAUTHORIZE = "reauthorizationRequired"
    REMOVED = "subscriptionRemoved"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `secret` is the whole token or client state; `resource_id` None where the provider has none.
    `idle`: it only says that the channel is there."""

    link_id: UUID | None
    secret: str = field(repr=False)
    channel_id: str
    resource_id: str | None = None
    reason: Reason | None = None
    idle: bool = False

    @classmethod
    def of(
        cls,
        secret: object,
        channel_id: object,
        resource_id: str | None = None,
        *,
        reason: object = None,
        idle: bool = False,
    ) -> "Message":
        """From what stands in a request, whatever that is."""
        secret = secret if isinstance(secret, str) and len(secret) <= _LONGEST else ""
        return cls(
            _link_of(secret),
            secret,
            channel_id if isinstance(channel_id, str) else "",
            resource_id,
            next((each for each in Reason if each == reason), None),
            idle,
        )


async def receive_one(db: Database, provider: str, message: Message) -> bool:
    """`receive` of a single message; answers whether its secret is one of ours."""
    link_id = message.link_id or _NOBODY
    known = await queries.channels(db.reads, [link_id])
    matching = _matching(message, known.get(link_id, ()))
    if _came_through(message, matching) and not message.idle:
        await ring(db, provider, {link_id: [message]})
    else:
        PUSHES.labels(provider, "dropped").inc()
    return bool(matching)


async def receive(db: Database, provider: str, messages: Iterable[Message]) -> None:
    """Act on those messages that are what they say: one transaction, one bell per calendar. The others are dropped."""
    by_link = _by_link(messages)
    known = await queries.channels(db.reads, by_link or [_NOBODY])
    heard = {
        link_id: genuine
        for link_id, said in by_link.items()
        if (genuine := [each for each in said if _came_through(each, _matching(each, known.get(link_id, ())))])
    }
    PUSHES.labels(provider, "dropped").inc(len(by_link) - len(heard))
    if heard:
        await ring(db, provider, heard)


async def ring(db: Database, provider: str, heard: Mapping[UUID, Sequence[Message]]) -> None:
    """Act on messages that are known to be what they say."""
    async with db.sessions.begin() as session:
        for link, its_provider in await queries.lock(session, heard.keys()):
            for message in heard[link.id]:
                await _heed(session, link, message)
            await outbox.ring_calendar(session, link.user_id, link.id, its_provider)
    PUSHES.labels(provider, "heard").inc(len(heard))


async def _heed(session: AsyncSession, link: CalendarLink, message: Message) -> None:
    match message.reason:
        case Reason.MISSED:
            await queries.list_anew(session, link)
        case Reason.REMOVED:
            await queries.end_channel(session, link, message.channel_id)
        case Reason.REAUTHORIZE:
            await queries.hurry_channel(session, link, message.channel_id)


def _by_link(messages: Iterable[Message]) -> Mapping[UUID, Sequence[Message]]:
    """By calendar, each message once, and no more of them than are looked at."""
    found: dict[UUID, list[Message]] = {}
    for each in messages:
        if each.link_id is None or (each.link_id not in found and len(found) == MOST_LINKS):
            continue
        said = found.setdefault(each.link_id, [])
        if len(said) < MOST_OF_ONE and each not in said:
            said.append(each)
    return found


def _matching(message: Message, channels: Channels) -> Channels:
    """Those channels whose secret this is. Of the same cost whether there are any or none."""
    given = hashlib.sha256(message.secret.encode("utf-8", "surrogatepass")).hexdigest()
    kept = [*channels[:2], *[{"secret_hash": _NO_HASH}] * (2 - len(channels[:2]))]
    same = [hmac.compare_digest(given, str(each["secret_hash"])) for each in kept]
    return [each for each, is_same in zip(channels[:2], same, strict=False) if is_same]


def _came_through(message: Message, channels: Channels) -> bool:
    return any(_is(message, each) for each in channels)


def _is(message: Message, channel: Mapping[str, Any]) -> bool:
    resource = message.resource_id
    return bool(channel["id"] == message.channel_id and (resource is None or channel.get("resource_id") == resource))


def _link_of(secret: str) -> UUID | None:
    try:
        return UUID(secret.partition(".")[0])
    except ValueError:
        return None
