"""What can be done with media over HTTP: load and authorise, present, restore a version, delete."""

from collections.abc import Iterable
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import Needed, require
from api.auth import CurrentUser
from api.deps import UnitOfWork
from api.services import Services, services_of
from core import live
from core.errors import Conflict, NotFound
from domain.access import Access, Right
from domain.media.limits import Purpose
from domain.media.reasons import SENTENCES, Reason
from domain.media.state import AssetState
from models.media import MediaLink
from models.queries import media, media_use, media_withdrawn, media_work
from models.queries.media_use import Doomed
from temporal import outbox

NAME: Final = "media_links.name_ct"
CAPTURED_AT: Final = "media_assets.captured_at_ct"
_SHOWN: Final = (
    "id household_id pet_id record_id purpose content_type size state stage percent is_current width height pages "
    "animated thumbhash created_at updated_at version"
).split()
AT_ONCE: Final = 100
"""Workflows that are rung in a person's request; the sweep rings the others."""


async def readable_media(request: Request, media_id: UUID, caller: CurrentUser, needed: Needed) -> asyncpg.Record:
    """The media, for who may do this with it. 404 for who may not know of it, 403 for who may only see it."""
    found = await media.find(services_of(request).db, caller.user_id, media_id)
    if found is None:
        raise NotFound("no such media")
    await require(request, caller, found, needed)
    return found


async def writable_media(media_id: UUID, caller: CurrentUser, session: UnitOfWork, needed: Needed) -> MediaLink:
    """The link's locked row, for who may do this with it; else as `readable_media`."""
    found = await media.lock(session, caller.user_id, media_id)
    if found is None:
        raise NotFound("no such media")
    link, allowed = found
    allowed.require(needed)
    return link


ReadableMedia = Annotated[asyncpg.Record, Depends(readable_media)]
WritableMedia = Annotated[MediaLink, Depends(writable_media)]


async def present(services: Services, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `MediaOut`."""
    name = await services.cipher.open(NAME, row["id"], row["name_ct"])
    is_ready = row["state"] == AssetState.READY
    return {
        **{field: row[field] for field in _SHOWN},
        "name": name,
        "reason": present_reason(row["state"], row["reason"]),
        "captured_at": await services.cipher.open_optional(CAPTURED_AT, row["asset_id"], row["captured_at_ct"]),
        "variants": services.media_urls.variants(row, name) if is_ready else [],
    }


def present_reason(state: str, code: str | None) -> dict[str, str] | None:
    """The document of `ReasonOut`. Why something that is shown could not be made anew is nothing for people."""
    return None if code is None or state == AssetState.READY else {"code": code, "text": SENTENCES[Reason(code)]}


async def restore(session: AsyncSession, link: MediaLink) -> None:
    """Show this version again. Raises `Conflict` for one that cannot be looked at."""
    asset = await media_work.find(session, link.asset_id)
    if asset is None or asset.state != AssetState.READY:
        raise Conflict("This version cannot be looked at.", code="not_ready")
    if not link.is_current:
        await media_withdrawn.forgo(session, link)
        await media_work.make_current(session, link)
        await media_work.tell_of(session, link, live.Name.MEDIA_READY)


async def delete(session: AsyncSession, link: MediaLink) -> None:
    """Take it away: what is shown with all its versions, a former version alone."""
    await media_work.tell_of(session, link, live.Name.MEDIA_REMOVED)
    if link.is_current:
        await let_go(session, await media_use.delete_links(session, "thread_id", link.thread_id))
    else:
        await let_go(session, await media_use.delete_links(session, "id", link.id))
    if link.purpose == Purpose.PROFILE_PHOTO:
        await media_work.touch_pet(session, link.pet_id)


async def pet_gone(session: AsyncSession, pet_id: UUID) -> None:
    """All that is of a pet goes with it."""
    await let_go(session, await media_use.delete_links(session, "pet_id", pet_id))


async def record_gone(session: AsyncSession, record_id: UUID) -> None:
    """What was attached to an entry of a diary goes with it."""
    await let_go(session, await media_use.delete_links(session, "record_id", record_id))


async def let_go(session: AsyncSession, doomed: Iterable[Doomed]) -> None:
    """The workflows of contents that nobody uses any more remove them."""
    for each in list(doomed)[:AT_ONCE]:
        await outbox.ring_media(session, each.stored_under, each.asset_id)


def needed_for(purpose: Purpose, *, replaces: bool) -> Right:
    """Whoever may change the pet may change its photo; who may add to the diary may add papers, and only who may edit
    it replaces one."""
    if purpose is Purpose.PROFILE_PHOTO:
        return Right.EDIT_PET
    return Right.EDIT_RECORD if replaces else Right.ADD_RECORD


def require_for(allowed: Access, purpose: Purpose, *, replaces: bool) -> None:
    """Raises `NotPermitted`, `PetReadOnly`."""
    allowed.require(needed_for(purpose, replaces=replaces))
