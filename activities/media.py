"""What becomes of an uploaded content: it is shown, refused or removed. Each step may run twice: what it writes says
what is. What is found out before is `activities/media_examination.py`.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final

from temporalio import activity

from activities import media_metrics as metrics
from activities import media_refusals
from activities.media_files import Scratch, metered
from activities.media_store import MediaStore
from core import live
from core.crypto import FieldCipher
from core.db import SessionFactory
from domain.media.state import AssetState
from domain.media.variants import PLAN_VERSION
from integrations.scanning.protocol import Scanner
from models.media import MediaAsset
from models.queries import media_use, media_work
from temporal.contracts.media import MediaStanding, MediaTask, RefuseMedia, WorkOnMedia

_LOOKED_AT: Final = (AssetState.SCANNING, AssetState.READY)
"""From here it may be shown or refused; otherwise that is done."""


@dataclass(frozen=True, slots=True)
class MediaActivities:
    """See the module."""

    sessions: SessionFactory
    cipher: FieldCipher
    store: MediaStore
    scanner: Scanner
    scratch: Scratch

    @activity.defn
    async def review_media(self, request: WorkOnMedia) -> MediaStanding:
        """What is to be done with it."""
        async with self.sessions() as session:
            asset = await media_work.find(session, request.asset_id)
        if asset is None:
            return MediaStanding(MediaTask.NOTHING)
        return MediaStanding(await self._task(asset), AssetState(asset.state))

    @activity.defn
    async def publish_media(self, request: WorkOnMedia) -> None:
        """Show it, if every rendition is where it should be; otherwise its row still says that it is to be published.
        Raises `StorageUnavailable`."""
        async with self.sessions() as session:
            asset = await media_work.find(session, request.asset_id)
            files = await media_work.renditions(session, request.asset_id)
        if asset is None or asset.doomed_at is not None:
            return
        async with metered() as meter:
            there = await meter.run(partial(self.store.renditions, asset))
        if not files or any(there.get(each.name) != each.size for each in files):
            return
        async with self.sessions.begin() as session:
            await media_use.hold_pets(session, request.asset_id)
            row = await media_work.lock(session, request.asset_id)
            if row is None or row.doomed_at is not None or AssetState(row.state) not in _LOOKED_AT:
                return
            places, was_shown = await media_work.links(session, row.id), row.state == AssetState.READY
            shown = await media_use.bring_home(session, row)
            if shown.state != AssetState.READY:
                metrics.SETTLED.labels(AssetState.READY).inc()
                await media_work.settle(session, shown, AssetState.READY)
            if not was_shown:  # an attempt that died after its commit, or a look at what is shown: no news
                await media_work.show(session, shown)
                for each in places:
                    await media_work.tell_of(session, each, live.Name.MEDIA_READY)
        async with metered() as meter:
            await meter.run(partial(self.store.prune, asset, there.keys() - {each.name for each in files}))
        self.scratch.drop(request.asset_id)

    @activity.defn
    async def refuse_media(self, request: RefuseMedia) -> None:
        """Say why it is not taken, write it down, and delete it, in this order. Of what was published before the upload
        is kept: later rules may find nothing. Raises `StorageUnavailable`."""
        async with self.sessions.begin() as session:
            await media_use.hold_pets(session, request.asset_id)
            asset = await media_work.lock(session, request.asset_id)
            if asset is None:
                return
            if AssetState(asset.state) in _LOOKED_AT:
                await media_refusals.refuse(session, self.cipher, asset, request.reason)
        async with metered() as meter:
            await meter.run(partial(self.store.withdraw if asset.withdrawn_at else self.store.remove, asset))
        self.scratch.drop(asset.id)

    @activity.defn
    async def remove_media(self, request: WorkOnMedia) -> None:
        """Nothing of it is left: versions, renditions, parts, and then its rows. Raises `StorageUnavailable`."""
        async with self.sessions.begin() as session:
            asset = await media_work.lock(session, request.asset_id)
            if asset is None or not await media_use.is_doomed(session, asset):
                return
        async with metered() as meter:
            await meter.run(partial(self.store.remove, asset))
        async with self.sessions.begin() as session:
            await media_work.forget(session, asset.id)
        metrics.REMOVED.inc()
        self.scratch.drop(asset.id)

    async def _task(self, asset: MediaAsset) -> MediaTask:
        if asset.doomed_at is not None:
            return MediaTask.REMOVE
        if asset.state == AssetState.SCANNING:
            return MediaTask.PUBLISH
        if asset.state == AssetState.READY and asset.plan_version < PLAN_VERSION:
            return MediaTask.RENDER
        if asset.state != AssetState.READY and asset.withdrawn_at is None:
            return MediaTask.NOTHING
        is_scanned = asset.signatures == await asyncio.to_thread(self.scanner.signatures)
        return MediaTask.NOTHING if is_scanned else MediaTask.RESCAN
