"""Contents that were shown, and are not any more until a later look finds nothing in them."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.media.limits import Purpose
from domain.media.state import AssetState
from models.media import MediaAsset, MediaLink, MediaVariant
from models.queries import media_work
from models.queries.clock import database_now

_FORGO: Final = text(
    """UPDATE media_links l SET shown_at = clock_timestamp() FROM media_assets m
        WHERE m.id = l.asset_id AND m.withdrawn_at IS NOT NULL AND l.thread_id = :thread AND l.shown_at IS NULL"""
)


async def withdraw(session: AsyncSession, asset: MediaAsset) -> Sequence[MediaLink]:
    """Nothing of it is shown. Where it was the current version the newest one is that can be looked at, until this one
    may be shown again; answers those. Its pets are held, and its row is locked."""
    await session.execute(delete(MediaVariant).where(col(MediaVariant.asset_id) == asset.id))
    current = [link for link in await media_work.links(session, asset.id) if link.is_current]
    return [former for link in current if (former := await _give_place(session, link)) is not None]


async def forgo(session: AsyncSession, chosen: MediaLink) -> None:
    """Whoever chooses a version does not have it replaced by one that was withdrawn before."""
    await session.execute(_FORGO, {"thread": chosen.thread_id})


async def _give_place(session: AsyncSession, link: MediaLink) -> MediaLink | None:
    link.is_current, link.shown_at, link.updated_at = False, None, await database_now(session)
    link.version += 1
    await session.flush()
    if link.purpose == Purpose.PROFILE_PHOTO:
        await media_work.touch_pet(session, link.pet_id)
    former = (
        select(MediaLink)
        .join(MediaAsset, col(MediaAsset.id) == col(MediaLink.asset_id))
        .where(
            col(MediaLink.thread_id) == link.thread_id,
            col(MediaLink.deleted_at).is_(None),
            col(MediaAsset.state) == AssetState.READY,
            col(MediaAsset.doomed_at).is_(None),
        )
        .order_by(col(MediaLink.id).desc())
        .limit(1)
    )
    found = (await session.scalars(former.with_for_update(of=MediaLink))).first()
    if found is not None:
        await media_work.make_current(session, found)
    return found
