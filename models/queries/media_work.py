"""What the media workflow reads and writes of an asset. Its row is locked first, then links, then the usage.

Everything here may run twice: each write says what is, not what is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core import live
from core.ids import new_id
from domain.media.limits import Purpose
from domain.media.reasons import Reason
from domain.media.state import AssetState, Stage, percent
from models.media import Held, MediaAsset, MediaLink, MediaUpload, MediaVariant
from models.queries import storage_usage
from models.queries.access import OWN, watching
from models.queries.clock import database_now

_WATCHED: Final = text(
    f"""SELECT l.id, l.pet_id, array_agg(DISTINCT a.user_id) AS people
          FROM media_links l
          JOIN pet_access a ON a.household_id = l.household_id AND (a.pet_id IS NULL OR a.pet_id = l.pet_id) AND {OWN}
         WHERE l.asset_id = :asset_id AND l.deleted_at IS NULL
         GROUP BY l.id
         ORDER BY l.id"""  # noqa: S608
)
"""The places of an asset, and who sees them."""
_SAVE: Final = text(
    """INSERT INTO media_variants (id, asset_id, name, content_type, size, width, height)
       SELECT f.id, :asset_id, f.name, f.content_type, f.size, f.width, f.height
         FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:content_types AS text[]),
                     CAST(:sizes AS bigint[]), CAST(:widths AS integer[]), CAST(:heights AS integer[]))
              AS f (id, name, content_type, size, width, height)
       ON CONFLICT (asset_id, name) DO UPDATE
          SET content_type = excluded.content_type, size = excluded.size,
              width = excluded.width, height = excluded.height"""
)
"""Renditions, whatever was written of them before."""
_DROP: Final = text("DELETE FROM media_variants WHERE asset_id = :asset_id AND name <> ALL(CAST(:names AS text[]))")
_PET_CHANGED: Final = text("UPDATE pets SET version = version + 1, updated_at = clock_timestamp() WHERE id = :id")


@dataclass(frozen=True, slots=True)
class File:
    """A published rendition."""

    name: str
    content_type: str
    size: int
    width: int | None
    height: int | None


async def find(session: AsyncSession, asset_id: UUID) -> MediaAsset | None:
    """The asset, not locked."""
    return await session.get(MediaAsset, asset_id, populate_existing=True)


async def lock(session: AsyncSession, asset_id: UUID) -> MediaAsset | None:
    """The asset, locked, as it is once the lock is held."""
    query = select(MediaAsset).where(col(MediaAsset.id) == asset_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def links(session: AsyncSession, asset_id: UUID) -> Sequence[MediaLink]:
    """Where it is used."""
    query = select(MediaLink).where(col(MediaLink.asset_id) == asset_id, col(MediaLink.deleted_at).is_(None))
    return (await session.scalars(query.order_by(col(MediaLink.id)))).all()


async def tell(session: AsyncSession, asset: MediaAsset, name: live.Name, **data: object) -> None:
    """Screens hear of it, at each of its places."""
    for place in await session.execute(_WATCHED, {"asset_id": asset.id}):
        live.say(session, place.people, name, media_id=place.id, pet_id=place.pet_id, **data)


async def tell_of(session: AsyncSession, link: MediaLink, name: live.Name, **data: object) -> None:
    """Screens of all who see the pet hear of a file in its place."""
    people = await watching(session, link.household_id, link.pet_id)
    live.say(session, people, name, media_id=link.id, pet_id=link.pet_id, **data)


async def advance(session: AsyncSession, asset: MediaAsset, stage: Stage, done: float = 0.0) -> None:
    """It has come so far. Progress is no change that an ETag tells of."""
    asset.stage, asset.percent = stage.value, percent(stage, done)
    await session.flush()
    said = {"state": asset.state, "stage": asset.stage, "percent": asset.percent}
    await tell(session, asset, live.Name.MEDIA_PROGRESS, **said)


async def look_anew(session: AsyncSession, asset: MediaAsset) -> None:
    """It is looked at from the beginning, and not shown meanwhile."""
    asset.state, asset.percent = AssetState.SCANNING, 0
    asset.updated_at = await database_now(session)


async def settle(session: AsyncSession, asset: MediaAsset, state: AssetState, reason: Reason | None = None) -> None:
    """Its end, with what it means for the household's room."""
    asset.state, asset.reason, asset.stage = state, reason and reason.value, None
    asset.percent = 100
    asset.version += 1
    asset.updated_at = await database_now(session)
    if state is AssetState.READY:
        asset.withdrawn_at = None
    await storage_usage.hold(session, asset, Held.USED if state is AssetState.READY else Held.NOTHING)
    await session.flush()


async def show(session: AsyncSession, asset: MediaAsset) -> None:
    """What waits for this asset is shown from now on, and what it replaces is a former version."""
    now = await database_now(session)
    for link in [each for each in await links(session, asset.id) if each.shown_at is None]:
        link.shown_at = now
        await _join_photo(session, link)
        if not await _was_overtaken(session, link):
            await make_current(session, link)


async def make_current(session: AsyncSession, link: MediaLink) -> None:
    """Show this version."""
    now = await database_now(session)
    await _join_photo(session, link)
    if link.purpose == Purpose.PROFILE_PHOTO:
        await touch_pet(session, link.pet_id)
    await session.execute(
        update(MediaLink)
        .where(col(MediaLink.thread_id) == link.thread_id, col(MediaLink.id) != link.id, col(MediaLink.is_current))
        .values(is_current=False, version=col(MediaLink.version) + 1, updated_at=now)
    )
    link.is_current, link.updated_at = True, now
    link.version += 1
    await session.flush()


async def touch_pet(session: AsyncSession, pet_id: UUID) -> None:
    """Its photo is another one: that is a new version of the pet."""
    await session.execute(_PET_CHANGED, {"id": pet_id})


async def renditions(session: AsyncSession, asset_id: UUID) -> Sequence[MediaVariant]:
    """Its published files."""
    query = select(MediaVariant).where(col(MediaVariant.asset_id) == asset_id)
    return (await session.scalars(query.order_by(col(MediaVariant.name)))).all()


async def save_renditions(session: AsyncSession, asset_id: UUID, files: Sequence[File]) -> None:
    """These are its published files, whatever was written before."""
    columns = {f"{column.name}s": [getattr(each, column.name) for each in files] for column in fields(File)}
    await session.execute(_DROP, {"asset_id": asset_id, "names": columns["names"]})
    await session.execute(_SAVE, {"asset_id": asset_id, "ids": [new_id() for _ in files], **columns})


async def forget(session: AsyncSession, asset_id: UUID) -> None:
    """The rows of an asset whose objects are gone."""
    await session.execute(delete(MediaUpload).where(col(MediaUpload.asset_id) == asset_id))
    await session.execute(delete(MediaLink).where(col(MediaLink.asset_id) == asset_id))
    await session.execute(delete(MediaAsset).where(col(MediaAsset.id) == asset_id))


async def _join_photo(session: AsyncSession, link: MediaLink) -> None:
    """A pet has one photo: two first ones that came at once are versions of each other."""
    if link.purpose == Purpose.PROFILE_PHOTO and (shown := await _photo_of(session, link.pet_id)) is not None:
        link.thread_id = shown.thread_id


async def _photo_of(session: AsyncSession, pet_id: UUID) -> MediaLink | None:
    query = select(MediaLink).where(
        col(MediaLink.pet_id) == pet_id,
        col(MediaLink.purpose) == Purpose.PROFILE_PHOTO,
        col(MediaLink.is_current),
        col(MediaLink.deleted_at).is_(None),
    )
    return (await session.scalars(query.with_for_update())).one_or_none()


async def _was_overtaken(session: AsyncSession, link: MediaLink) -> bool:
    """Whether a version that was uploaded later is shown already."""
    later = select(col(MediaLink.id)).where(
        col(MediaLink.thread_id) == link.thread_id,
        col(MediaLink.is_current),
        col(MediaLink.deleted_at).is_(None),
        col(MediaLink.id) > link.id,
    )
    return (await session.execute(later.limit(1))).first() is not None
