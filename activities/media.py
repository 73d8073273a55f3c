"""Steps of an uploaded content. Each may run twice: what it stores has a key made of asset and rendition, what it
writes says what is.

Blocking work runs in threads; rows are read and written around it, and no connection is held meanwhile.
"""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from temporalio import activity

from activities import media_metrics as metrics
from activities import media_refusals
from activities.media_files import Meter, Scratch, metered
from activities.media_store import MediaStore, NotStored
from core import live
from core.crypto import FieldCipher, Subject
from core.db import SessionFactory
from domain.media import variants
from domain.media.reasons import Reason, reason_of
from domain.media.sniff import DOCUMENTS, HEAD_BYTES, sniff
from domain.media.state import AssetState, Stage, percent
from integrations.imaging.protocol import Imaging, Inspected, Rendered, Unreadable
from integrations.scanning.protocol import Scanner, ScannerUnavailable, Verdict
from models.media import MediaAsset
from models.queries import media_work
from models.queries.media_work import File
from temporal.contracts.media import Finding, MediaStanding, MediaTask, RefuseMedia, WorkOnMedia

PLAN_VERSION: Final = 1
"""Of the renditions that this release makes; raise it where `domain/media/variants.py` changes, and reprocess."""
CAPTURED_AT: Final = "media_assets.captured_at_ct"
GONE: Final = Finding()


@dataclass(frozen=True, slots=True)
class MediaActivities:
    """See the module."""

    sessions: SessionFactory
    cipher: FieldCipher
    store: MediaStore
    imaging: Imaging
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
    async def verify_media(self, request: WorkOnMedia) -> Finding:
        """Whether what arrived is what was promised, byte for byte, and of the kind that it says. What the household
        has already is used in its place. Raises `StorageUnavailable`."""
        asset = await self._begin(request.asset_id, Stage.VERIFYING)
        if asset is None:
            return GONE
        with metrics.timed(Stage.VERIFYING):
            async with metered(partial(self._advance, asset.id, Stage.VERIFYING)) as meter:
                reason = await self._verify(asset, meter)
        if reason is not None:
            return Finding(reason)
        return Finding(is_known=await self._use_known(asset.id))

    @activity.defn
    async def scan_media(self, request: WorkOnMedia) -> Finding:
        """Whether it is harmless, and who says so. Raises `ScannerUnavailable`: then it is not published."""
        asset = await self._begin(request.asset_id, Stage.SCANNING)
        if asset is None:
            return GONE
        with metrics.timed(Stage.SCANNING):
            async with metered() as meter:
                try:
                    scanned = await meter.run(partial(self.scanner.scan, await self._local(asset, meter)))
                except ScannerUnavailable:
                    metrics.WAITING.labels("scanner").inc()
                    raise
                except NotStored:
                    return await self._missing(asset)
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset.id)) is not None:
                row.scan_engine, row.signatures = scanned.engine, scanned.signatures
        return Finding(_VERDICTS[scanned.verdict])

    @activity.defn
    async def render_media(self, request: WorkOnMedia) -> Finding:
        """Decode it in a process that may die, and store what will be shown of it. Raises `ImagingUnavailable`,
        `StorageUnavailable`."""
        asset = await self._begin(request.asset_id, Stage.DECODING)
        if asset is None:
            return GONE
        try:
            with metrics.timed(Stage.RENDERING), self.scratch.output(asset.id) as made:
                inspected, rendered = await self._render(asset, made)
                await self._advance(asset.id, Stage.PUBLISHING)
                async with metered() as meter:
                    files = await meter.run(partial(self._put, asset, rendered, meter))
        except Unreadable as refused:
            return Finding(reason_of(refused.reason))
        except NotStored:
            return await self._missing(asset)
        await self._save(asset.id, inspected, rendered, files)
        return Finding()

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
            if not await meter.run(partial(self.store.is_published, asset, files)):
                return
        async with self.sessions.begin() as session:
            row = await media_work.lock(session, request.asset_id)
            if row is None or row.doomed_at is not None:
                return
            places, known = await media_work.links(session, row.id), await media_work.twin(session, row)
            if known is not None:
                await media_work.merge(session, row, known)
            shown, was_shown = known or row, row.state == AssetState.READY
            if shown.state != AssetState.READY:
                metrics.SETTLED.labels(AssetState.READY).inc()
                await media_work.settle(session, shown, AssetState.READY)
            if not was_shown:  # an attempt that died after its commit, or a look at what is shown: no news
                await media_work.show(session, shown)
                for each in places:
                    await media_work.tell_of(session, each, live.Name.MEDIA_READY)
        async with metered() as meter:
            await meter.run(partial(self.store.prune, asset, files))
        self.scratch.drop(request.asset_id)

    @activity.defn
    async def refuse_media(self, request: RefuseMedia) -> None:
        """Say why it is not taken, write it down, and delete it, in this order. Raises `StorageUnavailable`."""
        reason = request.reason
        async with self.sessions.begin() as session:
            asset = await media_work.lock(session, request.asset_id)
            if asset is None:
                return
            if asset.state in (AssetState.SCANNING, AssetState.READY):
                state = AssetState.QUARANTINED if reason is Reason.THREAT else AssetState.REJECTED
                await media_work.settle(session, asset, state, reason)
                await media_work.tell(session, asset, live.Name.MEDIA_REJECTED, state=state, reason=reason)
                for link in await media_work.links(session, asset.id):
                    await media_refusals.write_down(session, link, state)
                    await media_refusals.tell(session, self.cipher, link, reason)
                metrics.SETTLED.labels(state).inc()
                metrics.REFUSED.labels(reason).inc()
        async with metered() as meter:
            await meter.run(partial(self.store.remove, asset))
        self.scratch.drop(asset.id)

    @activity.defn
    async def remove_media(self, request: WorkOnMedia) -> None:
        """Nothing of it is left: versions, renditions, parts, and then its rows. Raises `StorageUnavailable`."""
        async with self.sessions.begin() as session:
            asset = await media_work.lock(session, request.asset_id)
            if asset is None or not await media_work.is_doomed(session, asset):
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
        if asset.state != AssetState.READY:
            return MediaTask.NOTHING
        if asset.plan_version < PLAN_VERSION:
            return MediaTask.RENDER
        is_scanned = asset.signatures == await asyncio.to_thread(self.scanner.signatures)
        return MediaTask.NOTHING if is_scanned else MediaTask.RESCAN

    async def _missing(self, asset: MediaAsset) -> Finding:
        """Its bytes are not there any more. What is published already stays so, as it is."""
        if asset.state != AssetState.READY:
            return Finding(Reason.MISSING)
        metrics.ORPHANS.labels("original").inc()
        signatures = await asyncio.to_thread(self.scanner.signatures)
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset.id)) is not None:
                row.plan_version, row.signatures = PLAN_VERSION, signatures
        return Finding(is_known=True)

    async def _begin(self, asset_id: UUID, stage: Stage) -> MediaAsset | None:
        """The asset, shown as being at this stage; None where nobody wants it any more. One that is published stays
        so while it is looked at anew."""
        async with self.sessions.begin() as session:
            asset = await media_work.lock(session, asset_id)
            if asset is None or asset.doomed_at is not None:
                return None
            if asset.state == AssetState.SCANNING:
                await media_work.advance(session, asset, stage)
            return asset

    async def _advance(self, asset_id: UUID, stage: Stage, done: float = 0.0) -> None:
        """It is further than it was; what is told late is not told at all."""
        async with self.sessions.begin() as session:
            asset = await media_work.lock(session, asset_id)
            if asset is None or asset.state != AssetState.SCANNING or asset.doomed_at is not None:
                return
            if percent(stage, done) > asset.percent:
                await media_work.advance(session, asset, stage, done)

    async def _verify(self, asset: MediaAsset, meter: Meter) -> Reason | None:
        stored = await meter.run(partial(self.store.arrived, asset))
        if stored is None:
            return Reason.MISSING
        if stored.size != asset.declared_bytes:
            return Reason.SIZE_MISMATCH
        path = await meter.run(partial(self.store.fetch, asset, stored, self.scratch.of(asset.id), meter))
        if path is None:
            return Reason.HASH_MISMATCH
        metrics.BYTES.labels("uploads").inc(stored.size)
        sniffed = sniff(await meter.run(partial(_head, path)))
        if sniffed is None:
            return Reason.UNKNOWN_TYPE
        if sniffed != asset.declared_type:
            return Reason.TYPE_MISMATCH
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset.id)) is not None:
                row.content_type, row.object_version = sniffed, stored.version
        return None

    async def _use_known(self, asset_id: UUID) -> bool:
        """Whether the household has this content already; then its places use that one."""
        async with self.sessions.begin() as session:
            asset = await media_work.lock(session, asset_id)
            known = None if asset is None else await media_work.twin(session, asset)
            if asset is None or known is None:
                return False
            places = await media_work.links(session, asset.id)
            await media_work.merge(session, asset, known)
            await media_work.show(session, known)
            for each in places:
                await media_work.tell_of(session, each, live.Name.MEDIA_READY)
            return True

    async def _local(self, asset: MediaAsset, meter: Meter) -> Path:
        """The verified bytes on this machine: from the step before, or fetched anew."""
        return await meter.run(partial(self.store.verified, asset, self.scratch.of(asset.id), meter))

    async def _render(self, asset: MediaAsset, made: Path) -> tuple[Inspected, Rendered]:
        async with metered() as meter:
            path = await self._local(asset, meter)
            inspected = await meter.run(partial(self.imaging.inspect, path))
        await self._advance(asset.id, Stage.RENDERING)
        plan = variants.plan(inspected.content_type, inspected.width, inspected.height, animated=inspected.animated)
        async with metered(partial(self._advance, asset.id, Stage.RENDERING)) as meter:
            render = partial(self.imaging.render, path, made, plan=plan, on_progress=meter.heard_percent)
            return inspected, await meter.run(render)

    def _put(self, asset: MediaAsset, rendered: Rendered, meter: Meter) -> Sequence[File]:
        files = []
        for each in rendered.files:
            meter.heard(1.0)
            files.append(self.store.publish(asset, each))
        if asset.content_type in DOCUMENTS:
            files.append(self.store.publish_original(asset))
        metrics.BYTES.labels("renditions").inc(sum(each.size for each in files))
        return files

    async def _save(self, asset_id: UUID, seen: Inspected, rendered: Rendered, files: Sequence[File]) -> None:
        async with self.sessions.begin() as session:
            asset = await media_work.lock(session, asset_id)
            if asset is None:
                return
            asset.width, asset.height, asset.pages, asset.animated = seen.width, seen.height, seen.pages, seen.animated
            asset.thumbhash = base64.b64encode(rendered.thumbhash).decode() or None
            asset.plan_version = PLAN_VERSION
            if asset.keeps_captured_at and seen.captured_at is not None:
                home, text = Subject.household(asset.household_id), seen.captured_at.isoformat()
                asset.captured_at_ct = await self.cipher.seal(home, CAPTURED_AT, asset.id, text)
            await media_work.save_renditions(session, asset_id, files)


_VERDICTS: Final = {
    Verdict.CLEAN: None,
    Verdict.INFECTED: Reason.THREAT,
    Verdict.REFUSED: Reason.FORBIDDEN_CONTENT,
}


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
