"""What rows, objects, room and messages say of everything that somebody uploaded, read from where they are kept."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg
import redis.asyncio

from core.live import CHANNEL
from domain.media import keys
from tests.faults.ledger import delivery_of
from tests.faults.media_load import GONE, READY, Sent
from tests.faults.media_site import MediaSite
from tests.media_owner import Owner
from tests.storage.stores import s3_client

QUARANTINE, MEDIA = "petfolio-quarantine", "petfolio-media"
_ASSETS: Final = "SELECT * FROM media_assets WHERE household_id = $1"
_VARIANTS: Final = """
SELECT v.asset_id, v.name, v.size FROM media_variants v JOIN media_assets m ON m.id = v.asset_id
 WHERE m.household_id = $1"""
_LINKS: Final = """
SELECT l.id, m.state, m.reason FROM media_links l JOIN media_assets m ON m.id = l.asset_id
 WHERE l.household_id = $1 AND l.deleted_at IS NULL"""
_TOLD: Final = """
SELECT id::text, event_key, channel, state FROM deliveries WHERE user_id = $1 AND event_key LIKE 'media/%'"""


@dataclass(slots=True)
class Heard:
    """How often screens were told what of which media."""

    said: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, message: dict[str, Any]) -> None:
        """One live event, as it is published."""
        self.said[message["event"], message["data"][0].get("media_id", "")] += 1


@asynccontextmanager
async def listening(site: MediaSite) -> AsyncIterator[redis.asyncio.client.PubSub]:
    """Everything that is said to screens from now on."""
    async with redis.asyncio.from_url(site.stack.settings()["PETFOLIO_REDIS_URL"]) as client, client.pubsub() as heard:
        await heard.subscribe(CHANNEL)
        yield heard


async def all_heard(events: redis.asyncio.client.PubSub) -> Heard:
    """What came until now."""
    heard = Heard()
    while (message := await events.get_message(timeout=0.5)) is not None:
        if message["type"] == "message":
            heard.note(json.loads(message["data"]))
    return heard


@dataclass(frozen=True, slots=True)
class Book:
    """Of one owner's household."""

    home: UUID
    user_id: UUID
    email: str


async def book_of(owner: Owner) -> Book:
    """Whose it is."""
    profile = (await owner.person.call("GET", "/users/profile")).json()
    home = (await owner.person.call("GET", f"/pets/{owner.pet_id}")).json()["household_id"]
    return Book(UUID(home), UUID(profile["id"]), owner.person.email)


async def differences(
    site: MediaSite, database: asyncpg.Connection, book: Book, sent: Sequence[Sent]
) -> dict[str, object]:
    """Where rows, objects, room and messages differ from what has to be; empty: nowhere."""
    assets = await database.fetch(_ASSETS, book.home)
    ready = {each["id"]: each for each in assets if each["state"] == READY}
    found = {
        "under way": [str(each["id"]) for each in assets if _is_under_way(each)],
        "published twice": [str(each["id"]) for each in ready.values() if each["version"] != 2],
        "outcomes": await _outcomes(database, book, sent),
        "objects": await _objects(site, database, book, ready),
        "parts": parts(site, book),
        "room": await _room(database, book, assets),
        "told": await _told(site, database, book, sent),
    }
    return {name: what for name, what in found.items() if what}


def _is_under_way(asset: asyncpg.Record) -> bool:
    return asset["doomed_at"] is not None or asset["state"] in ("pending", "scanning")


async def _outcomes(database: asyncpg.Connection, book: Book, sent: Sequence[Sent]) -> dict[str, tuple[str, str]]:
    """What became of uploads of which something else should have become."""
    links = {str(each["id"]): each for each in await database.fetch(_LINKS, book.home)}
    became = {each.media_id: _became(links.get(each.media_id)) for each in sent}
    return {
        each.media_id: (each.becomes, became[each.media_id]) for each in sent if each.becomes != became[each.media_id]
    }


def _became(link: asyncpg.Record | None) -> str:
    if link is None:
        return GONE
    return str(link["reason"] or link["state"])


async def _objects(
    site: MediaSite, database: asyncpg.Connection, book: Book, ready: dict[UUID, asyncpg.Record]
) -> dict[str, object]:
    """Objects that are too many, too few, or of another size than their rows say."""
    uploads = {keys.upload(book.home, asset_id): each["declared_bytes"] for asset_id, each in ready.items()}
    renditions = {
        keys.published(book.home, each["asset_id"], each["name"]): each["size"]
        for each in await database.fetch(_VARIANTS, book.home)
    }
    unpublished = [str(each) for each in ready if not any(f"/{each}/" in key for key in renditions)]
    there = {
        QUARANTINE: stored(site, QUARANTINE, f"{keys.UPLOADS}{book.home}/"),
        MEDIA: stored(site, MEDIA, f"{keys.MEDIA}{book.home}/"),
    }
    wrong: dict[str, object] = {
        bucket: sorted(there[bucket].items() ^ wanted.items())
        for bucket, wanted in ((QUARANTINE, uploads), (MEDIA, renditions))
        if there[bucket] != wanted
    }
    return wrong | ({"unpublished": unpublished} if unpublished else {})


def stored(site: MediaSite, bucket: str, prefix: str) -> dict[str, int]:
    """Sizes of the newest versions by key; -1 where that is a delete marker."""
    pages = s3_client(site.s3).get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    found: dict[str, int] = {}
    for page in pages:
        found |= {each["Key"]: -1 for each in page.get("DeleteMarkers", ()) if each["IsLatest"]}
        found |= {each["Key"]: each["Size"] for each in page.get("Versions", ()) if each["IsLatest"]}
        hidden = {each["Key"]: -1 for each in page.get("Versions", ()) if each["Key"] not in found}
        found |= hidden
    return found


def parts(site: MediaSite, book: Book) -> list[str]:
    """Uploads in parts that are still open."""
    answer = s3_client(site.s3).list_multipart_uploads(Bucket=QUARANTINE, Prefix=f"{keys.UPLOADS}{book.home}/")
    return [each["Key"] for each in answer.get("Uploads", ())]


async def _room(
    database: asyncpg.Connection, book: Book, assets: Sequence[asyncpg.Record]
) -> tuple[dict[str, int], ...] | None:
    """The room that is counted, and the room that is taken, where they differ."""
    row = await database.fetchrow("SELECT used, reserved FROM storage_usage WHERE household_id = $1", book.home)
    counted = {"used": 0, "reserved": 0} if row is None else dict(row)
    taken = {"used": sum(each["declared_bytes"] for each in assets if each["state"] == READY), "reserved": 0}
    return None if counted == taken else (counted, taken)


async def _told(
    site: MediaSite, database: asyncpg.Connection, book: Book, sent: Sequence[Sent]
) -> dict[str, object] | None:
    """Refusals that somebody was not told of once in the app and once by mail; mails that came more than once."""
    told = await database.fetch(_TOLD, book.user_id)
    refused = {f"media/{each.media_id}/refused/2" for each in sent if each.becomes not in (READY, GONE)}
    gone = {f"media/{each.media_id}/refused/2" for each in sent if each.becomes == GONE}
    times = Counter((each["event_key"], each["channel"]) for each in told if each["state"] == "sent")
    wanted = Counter((key, channel) for key in refused for channel in ("in_app", "email"))
    differ = {key: (times[key], wanted[key]) for key in times | wanted if times[key] != wanted[key]}
    arrived = Counter(map(delivery_of, await site.inbox.messages(book.email)))
    mailed = {each["id"] for each in told if each["channel"] == "email" and each["state"] == "sent"}
    repeated = {each: arrived[each] for each in mailed if arrived[each] != 1}
    wrong: dict[str, object] = {f"{key}": what for key, what in differ.items() if key[0] not in gone} | repeated
    return wrong or None
