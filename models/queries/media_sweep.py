"""Contents that somebody has to look after: page by page, for the jobs of operators."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import and_, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.media.state import AssetState
from models.media import MediaAsset, MediaUpload, MediaVariant, UploadState
from models.queries import media_use, media_work
from models.queries.media_use import Doomed

_NOBODY: Final = UUID(int=0)
_WAITING: Final = text(
    """SELECT id, stored_under FROM media_assets
        WHERE id > :after AND (doomed_at < :before OR state = 'scanning' AND updated_at < :before)
        ORDER BY id LIMIT :limit"""
)

_DOOM_REFUSED: Final = text(
    """UPDATE media_assets SET doomed_at = clock_timestamp()
        WHERE id IN (SELECT id FROM media_assets
                      WHERE state IN ('rejected', 'quarantined') AND doomed_at IS NULL AND updated_at < :before
                      ORDER BY updated_at LIMIT :limit FOR UPDATE)
    RETURNING id, stored_under"""
)
_DELETE_LINKS: Final = text(
    """UPDATE media_links SET deleted_at = clock_timestamp(), is_current = false
        WHERE asset_id = ANY(:ids) AND deleted_at IS NULL"""
)


@dataclass(frozen=True, slots=True)
class Published:
    """A content that is shown, and the names of its renditions."""

    asset: MediaAsset
    files: frozenset[str]


async def expire(session: AsyncSession, limit: int) -> tuple[int, Sequence[Doomed]]:
    """End uploads whose time is over: how many, and the contents that nobody uses then."""
    late = (
        select(MediaUpload)
        .where(col(MediaUpload.state) == UploadState.OPEN, col(MediaUpload.expires_at) <= text("clock_timestamp()"))
        .order_by(col(MediaUpload.expires_at))
        .limit(limit)
    )
    uploads = (await session.scalars(late)).all()
    doomed: list[Doomed] = []
    for upload in uploads:
        if await media_work.lock(session, upload.asset_id) is not None:
            doomed += await _end(session, upload)
    return len(uploads), doomed


async def forget_refused(session: AsyncSession, before: datetime, limit: int) -> Sequence[Doomed]:
    """Take contents away that were refused before an instant, with their places: they could be read about for long
    enough."""
    found = await session.execute(_DOOM_REFUSED, {"before": before, "limit": limit})
    doomed = [Doomed(row.id, row.stored_under) for row in found]
    await session.execute(_DELETE_LINKS, {"ids": [each.asset_id for each in doomed]})
    return doomed


async def waiting(session: AsyncSession, before: datetime, after: UUID | None, limit: int) -> Sequence[Doomed]:
    """Contents that have waited for their workflow since before an instant, in the order of their ids."""
    found = await session.execute(_WAITING, {"before": before, "after": after or _NOBODY, "limit": limit})
    return [Doomed(row.id, row.stored_under) for row in found]


async def known(session: AsyncSession, asset_ids: Iterable[UUID]) -> Mapping[UUID, Published]:
    """Which of these there are."""
    ids = list(asset_ids)
    assets = (await session.scalars(select(MediaAsset).where(col(MediaAsset.id).in_(ids)))).all()
    return await _with_files(session, assets)


async def ready(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[Published]:
    """Contents that are shown, in the order of their ids."""
    query = select(MediaAsset).where(
        col(MediaAsset.id) > (after or _NOBODY),
        col(MediaAsset.state) == AssetState.READY,
        col(MediaAsset.doomed_at).is_(None),
    )
    assets = (await session.scalars(query.order_by(col(MediaAsset.id)).limit(limit))).all()
    return list((await _with_files(session, assets)).values())


async def outdated(
    session: AsyncSession, plan_version: int, signatures: str, after: UUID | None, limit: int
) -> Sequence[Doomed]:
    """Contents that are shown, and have other renditions, or were scanned with other rules, than they would now; and
    those that former rules withdrew."""
    is_ready = col(MediaAsset.state) == AssetState.READY
    is_withdrawn = and_(col(MediaAsset.state) == AssetState.QUARANTINED, col(MediaAsset.withdrawn_at).is_not(None))
    query = select(col(MediaAsset.id), col(MediaAsset.stored_under)).where(
        col(MediaAsset.id) > (after or _NOBODY),
        col(MediaAsset.doomed_at).is_(None),
        or_(
            and_(is_ready, col(MediaAsset.plan_version) < plan_version),
            and_(or_(is_ready, is_withdrawn), col(MediaAsset.signatures).is_distinct_from(signatures)),
        ),
    )
    found = await session.execute(query.order_by(col(MediaAsset.id)).limit(limit))
    return [Doomed(row.id, row.stored_under) for row in found]


async def hide(session: AsyncSession, asset_id: UUID) -> None:
    """Its renditions are not all there: it is looked at from the beginning, and not shown meanwhile."""
    asset = await media_work.lock(session, asset_id)
    if asset is not None and asset.state == AssetState.READY and asset.doomed_at is None:
        await media_work.look_anew(session, asset)


async def _end(session: AsyncSession, upload: MediaUpload) -> Sequence[Doomed]:
    """Unless it was completed a moment ago."""
    ended = await session.execute(
        update(MediaUpload)
        .where(col(MediaUpload.id) == upload.id, col(MediaUpload.state) == UploadState.OPEN)
        .values(state=UploadState.EXPIRED)
        .returning(col(MediaUpload.id))
    )
    return await media_use.delete_links(session, "id", upload.link_id) if ended.first() is not None else ()


async def _with_files(session: AsyncSession, assets: Sequence[MediaAsset]) -> Mapping[UUID, Published]:
    ids = [asset.id for asset in assets]
    rows = await session.execute(
        select(col(MediaVariant.asset_id), col(MediaVariant.name)).where(col(MediaVariant.asset_id).in_(ids))
    )
    files: dict[UUID, set[str]] = {asset_id: set() for asset_id in ids}
    for asset_id, name in rows:
        files[asset_id].add(name)
    return {asset.id: Published(asset, frozenset(files[asset.id])) for asset in assets}
