"""Uploads: who may put which bytes where, until when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.ids import new_id
from domain.access import Access
from domain.media.limits import Purpose
from models.media import MediaAsset, MediaLink, MediaUpload
from models.pet import Pet
from models.queries.access import pet_access, reaches
from models.queries.limits import beyond
from models.queries.media_use import reread

_PHOTO_THREAD: Final = text(
    """SELECT thread_id FROM media_links
        WHERE pet_id = :pet_id AND purpose = 'profile_photo' AND is_current AND deleted_at IS NULL"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a file goes. `thread_id`: it replaces what is there; None: it is a new thing."""

    household_id: UUID
    pet_id: UUID
    record_id: UUID | None
    purpose: Purpose
    thread_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What its person says that it is."""

    content_type: str
    size: int
    sha256: bytes
    keeps_captured_at: bool


@dataclass(frozen=True, slots=True)
class Uploading:
    """An upload with what it is of, both locked or both not."""

    upload: MediaUpload
    asset: MediaAsset
    link: MediaLink


async def photo_thread(session: AsyncSession, pet_id: UUID) -> UUID | None:
    """The versions of a pet's photo, if it has one: the next one replaces it."""
    return (await session.execute(_PHOTO_THREAD, {"pet_id": pet_id})).scalar_one_or_none()


async def begin(
    session: AsyncSession, place: Place, content: Content, user_id: UUID, name_ct: str, link_id: UUID, until: datetime
) -> Uploading:
    """Write an upload whose room is reserved. `link_id` is the one that `name_ct` is bound to."""
    asset = MediaAsset(
        id=new_id(),
        household_id=place.household_id,
        stored_under=place.household_id,
        declared_type=content.content_type,
        declared_bytes=content.size,
        sha256=content.sha256,
    )
    link = MediaLink(
        id=link_id,
        asset_id=asset.id,
        household_id=place.household_id,
        pet_id=place.pet_id,
        record_id=place.record_id,
        purpose=place.purpose,
        thread_id=place.thread_id or link_id,
        name_ct=name_ct,
        by_user_id=user_id,
        keeps_captured_at=content.keeps_captured_at,
    )
    upload = MediaUpload(
        household_id=place.household_id, asset_id=asset.id, link_id=link_id, user_id=user_id, expires_at=until
    )
    for row in (asset, link, upload):  # no relationship tells SQLAlchemy which one comes first
        session.add(row)
        await session.flush()
    return Uploading(upload, asset, link)


async def find(
    session: AsyncSession, user_id: UUID, upload_id: UUID, *, lock: bool = False
) -> tuple[Uploading, Access] | None:
    """An upload of this person, as long as they reach what it is for. `lock`: its rows are locked, the asset first."""
    statement = (
        select(
            MediaUpload,
            MediaAsset,
            MediaLink,
            pet_access.c.role,
            pet_access.c.actions,
            literal_column(beyond("pets")),
        )
        .join(MediaAsset, col(MediaAsset.id) == col(MediaUpload.asset_id))
        .join(MediaLink, col(MediaLink.id) == col(MediaUpload.link_id))
        .join(Pet, col(Pet.id) == col(MediaLink.pet_id))
        .join(pet_access, reaches(col(MediaLink.household_id), col(MediaLink.pet_id), user_id))
        .where(col(MediaUpload.id) == upload_id, col(MediaUpload.user_id) == user_id, col(Pet.deleted_at).is_(None))
    )
    if lock:
        statement = statement.with_for_update(of=[MediaAsset, MediaLink, MediaUpload])
    found = await reread(session, statement.execution_options(populate_existing=True))
    return None if found is None else (Uploading(*found[:3]), Access.of(found[3], found[4], read_only=found[5]))
