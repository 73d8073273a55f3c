"""Secret calendar feeds: addresses for programs that cannot sign in. Each is revoked alone."""

import asyncio
import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.identity import Client
from api.rate_limit import RateLimitState
from api.reminders import document_of
from api.services import Services
from core.crypto import Subject
from core.errors import Conflict, NotFound
from core.ids import new_id
from domain.schedule_json import from_stored
from integrations.calendar.ics import FeedReminder, feed
from models.feed import IcsFeed
from models.queries import feeds as queries
from models.queries import pets
from models.queries.clock import database_now

MOST: Final = 20
"""Feeds of a person: one per program and pet, and room to spare."""
_TOKEN = "ics_feeds.token_ct"  # noqa: S105 - a column


async def show(services: Services, caller: Caller) -> list[dict[str, Any]]:
    """The person's feeds, with their addresses."""
    return [await _present(services, row) for row in await queries.of_user(services.db, caller.user_id)]


async def create(session: AsyncSession, services: Services, caller: Caller, pet_id: UUID | None) -> dict[str, Any]:
    """A feed with a fresh address. Raises `NotFound` for a pet that is not theirs, `Conflict` for one feed too many."""
    if pet_id is not None and await pets.find(services.db, caller.user_id, pet_id) is None:
        raise NotFound("no such pet")
    if await queries.count_locked(session, caller.user_id) >= MOST:
        raise Conflict(f"you have {MOST} feeds: delete one that is not in use", code="too_many_feeds")
    feed_id, token = new_id(), secrets.token_urlsafe(32)
    row = IcsFeed(
        id=feed_id,
        user_id=caller.user_id,
        pet_id=pet_id,
        token_ct=await services.cipher.seal(Subject.user(caller.user_id), _TOKEN, feed_id, token),
        token_hash=_hash(token),
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return await _present(services, row.model_dump())


async def revoke(session: AsyncSession, caller: Caller, feed_id: UUID) -> None:
    """Close the address for good. Raises `NotFound` for what is not theirs; repeating it changes nothing."""
    found = await queries.lock(session, caller.user_id, feed_id)
    if found is None:
        raise NotFound("no such feed")
    found.revoked_at = found.revoked_at or await database_now(session)


async def admit(services: Services, client: Client, token: str) -> tuple[asyncpg.Record, RateLimitState]:
    """The feed of a token, counted per feed: a calendar provider asks for many people's from one network.

    Guesses are counted per network. Raises `NotFound` and `TooManyRequests`.
    """
    limiter = services.identity.limiter
    found = await queries.find(services.db, _hash(token))
    if found is None:
        await limiter.require("anonymous", services.identity.trace(client.network).hex())
        raise NotFound("no such feed")
    return found, await limiter.require("feeds", str(found["id"]))


async def calendar(services: Services, found: asyncpg.Record) -> tuple[bytes, str]:
    """The feed as iCalendar and its entity tag."""
    rows = await queries.reminders(services.db, found["user_id"], found["pet_id"])
    name = await services.cipher.open_optional("pets.name_ct", found["pet_id"], found["pet_name_ct"])
    reminders = [await _reminder(services, row) for row in rows]
    text = await asyncio.to_thread(feed, f"Petfolio: {name}" if name else "Petfolio", reminders)
    return text, f'"{hashlib.sha256(text).hexdigest()[:32]}"'


async def _reminder(services: Services, row: asyncpg.Record) -> FeedReminder:
    title = await services.cipher.open("reminders.title_ct", row["id"], row["title_ct"])
    pet = await services.cipher.open_optional("pets.name_ct", row["pet_id"], row["pet_name_ct"])
    left_out: Iterable[str] = row["left_out"]
    changed_at: datetime = row["updated_at"]
    return FeedReminder(
        id=row["id"],
        title=f"{pet}: {title}" if pet else title,
        description=await services.cipher.open_optional("reminders.description_ct", row["id"], row["description_ct"]),
        schedule=from_stored(document_of(row["schedule"])),
        pending=row["next_at"],
        left_out=frozenset(left_out),
        changed_at=changed_at,
    )


async def _present(services: Services, row: Any) -> dict[str, Any]:
    token = await services.cipher.open(_TOKEN, row["id"], row["token_ct"])
    url = f"{services.settings.public_url}/api/v1/feeds/{token}.ics"
    shown = {name: row[name] for name in ("id", "pet_id", "last_read_at", "created_at")}
    return shown | {"url": url, "webcal_url": f"webcal://{url.partition('://')[2]}"}


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
