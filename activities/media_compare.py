"""Rows and objects, compared page by page. May run twice: what is gone is gone, and what is made anew is made once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from temporalio import activity

from activities import media_metrics as metrics
from core.db import SessionFactory
from domain.media import keys
from domain.media.state import SETTLED, AssetState
from integrations.storage.protocol import Bucket, Listed, ObjectStorage
from models.media import MediaAsset
from models.queries import media_sweep
from models.queries.media_sweep import Published
from temporal import outbox
from temporal.contracts.media_compare import ComparedPart, ComparePage, PageCompared

YOUNG: Final = timedelta(days=1)
"""What is younger may belong to an upload that is under way."""
_ROWS: Final = 50
_WHERE: Final[Mapping[ComparedPart, tuple[Bucket, str]]] = {
    ComparedPart.UPLOADS: (Bucket.QUARANTINE, keys.UPLOADS),
    ComparedPart.PUBLISHED: (Bucket.MEDIA, keys.MEDIA),
}


@dataclass(frozen=True, slots=True)
class MediaCompareActivities:
    """See the module."""

    sessions: SessionFactory
    storage: ObjectStorage

    @activity.defn
    async def compare_page(self, request: ComparePage) -> PageCompared:
        """Delete objects that no row knows of; have contents made anew whose objects are missing. Raises
        `StorageUnavailable`."""
        if request.part is ComparedPart.ROWS:
            return await self._rows(UUID(request.after) if request.after else None)
        return await self._objects(*_WHERE[request.part], request)

    async def _objects(self, bucket: Bucket, prefix: str, request: ComparePage) -> PageCompared:
        page = await asyncio.to_thread(self.storage.listed, bucket, prefix, after=request.after)
        old = [each for each in page.entries if _is_old(each, request.now)]
        owners = {each.key: keys.asset_of(each.key) for each in old}
        async with self.sessions() as session:
            known = await media_sweep.known(session, {asset for asset in owners.values() if asset is not None})
        orphans = [key for key, asset in owners.items() if not _is_wanted(key, known.get(asset) if asset else None)]
        if orphans:
            await asyncio.to_thread(self.storage.delete, bucket, orphans)
            metrics.ORPHANS.labels("object").inc(len(orphans))
        if bucket is Bucket.QUARANTINE:
            contents = ((each, known.get(owner)) for each in old if (owner := owners[each.key]) is not None)
            await self._thin_out([content.asset for each, content in contents if content and _has_more(each, content)])
        return PageCompared(page.after, len(page.entries), len(orphans))

    async def _thin_out(self, assets: Sequence[MediaAsset]) -> None:
        """Versions beside the one that was verified: a form was sent again after it had done its work."""
        for asset in assets:
            activity.heartbeat()
            key = keys.upload(asset.stored_under, asset.id)
            stored = await asyncio.to_thread(self.storage.head, Bucket.QUARANTINE, key, version=asset.object_version)
            if stored is not None:
                await asyncio.to_thread(self.storage.keep, stored)

    async def _rows(self, after: UUID | None) -> PageCompared:
        async with self.sessions() as session:
            page = await media_sweep.ready(session, after, _ROWS)
        missing = 0
        for each in page:
            activity.heartbeat()
            if not await asyncio.to_thread(self._is_whole, each):
                missing += 1
                await self._renew(each)
        metrics.ORPHANS.labels("row").inc(missing)
        following = str(page[-1].asset.id) if len(page) == _ROWS else None
        return PageCompared(following, len(page), missing)

    def _is_whole(self, content: Published) -> bool:
        prefix = keys.published_prefix(content.asset.stored_under, content.asset.id)
        there = {key.removeprefix(prefix) for key in self.storage.sizes(Bucket.MEDIA, prefix)}
        return bool(content.files) and content.files <= there

    async def _renew(self, content: Published) -> None:
        async with self.sessions.begin() as session:
            await media_sweep.hide(session, content.asset.id)
            await outbox.ring_media(session, content.asset.stored_under, content.asset.id)


def _is_old(entry: Listed, now: datetime) -> bool:
    return entry.modified_at < now - YOUNG


def _has_more(entry: Listed, content: Published) -> bool:
    """Than the content that was verified: `size` is that of all versions."""
    return content.asset.state == AssetState.READY and entry.size > content.asset.declared_bytes


def _is_wanted(key: str, content: Published | None) -> bool:
    """Whether a row knows of it: its asset is there, was not refused and, of what is published and settled, has a
    rendition of this name. A form that is used again after the refusal brings the bytes back; what was withdrawn is
    kept for another look."""
    if content is None:
        return False
    if content.asset.state in (AssetState.REJECTED, AssetState.QUARANTINED):
        return key.startswith(keys.UPLOADS) and content.asset.withdrawn_at is not None
    return key.startswith(keys.UPLOADS) or content.asset.state not in SETTLED or key.rpartition("/")[2] in content.files
