"""What is found out about an uploaded content before it is shown: whether it is what was promised, whether it is
harmless, and what it looks like. Each step may run twice: what it stores has a key made of asset and rendition.

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
from activities.media_files import Meter, Scratch, metered
from activities.media_store import MediaStore, NotStored
from core import live
from core.crypto import FieldCipher, Subject
from core.db import SessionFactory
from domain.media import variants
from domain.media.reasons import Reason, reason_of
from domain.media.sniff import DOCUMENTS, HEAD_BYTES, sniff
from domain.media.state import AssetState, Stage, percent
from domain.media.variants import PLAN_VERSION
from integrations.imaging.protocol import Imaging, Inspected, Rendered, Unreadable
from integrations.scanning.protocol import ENCRYPTED, Scanned, Scanner, ScannerUnavailable, ScanTooSlow, Verdict
from models.media import MediaAsset
from models.queries import media_use, media_work
from models.queries.media_work import File
from temporal.contracts.media import Finding, WorkOnMedia

CAPTURED_AT: Final = "media_assets.captured_at_ct"
GONE: Final = Finding()
SLOW_SCANS: Final = 5
"""A busy machine is another one after so many tries, a minute apart; a file that is made to take long is not."""


@dataclass(frozen=True, slots=True)
class MediaExaminationActivities:
    """See the module."""

    sessions: SessionFactory
    cipher: FieldCipher
    store: MediaStore
    imaging: Imaging
    scanner: Scanner
    scratch: Scratch

    @activity.defn
    async def verify_media(self, request: WorkOnMedia) -> Finding:
        """Whether what arrived is what was promised, byte for byte, and of the kind that it says; what is of another
        one may be a threat. What the household has already is used in its place. Raises `StorageUnavailable`,
        `ScannerUnavailable`."""
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
                except ScanTooSlow:
                    if self.scratch.count_slow_scan(asset.id) >= SLOW_SCANS:
                        return await self._never_scanned(asset)
                    raise
                except ScannerUnavailable:
                    metrics.WAITING.labels("scanner").inc()
                    raise
                except NotStored:
                    return await self._missing(asset)
        await self._looked_at(asset.id, scanned.engine, scanned.signatures)
        if asset.state == AssetState.READY:
            self.scratch.drop(asset.id)  # nothing follows a scan of what is shown
        return Finding(_refusal(scanned))

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
            return await self._unreadable(asset, reason_of(refused.reason))
        except NotStored:
            return await self._missing(asset)
        await self._save(asset.id, inspected, rendered, files)
        return Finding()

    async def _looked_at(self, asset_id: UUID, engine: str, signatures: str) -> None:
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset_id)) is not None:
                row.scan_engine, row.signatures = engine, signatures

    async def _never_scanned(self, asset: MediaAsset) -> Finding:
        """These rules come to no end with it. What was published after a look by others stays until they change."""
        signatures = await asyncio.to_thread(self.scanner.signatures)
        await self._looked_at(asset.id, self.scanner.engine, signatures)
        return await self._unreadable(asset, Reason.TOO_SLOW)

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

    async def _unreadable(self, asset: MediaAsset, reason: Reason) -> Finding:
        """What was published before stays so, as it is: that a newer decoder cannot read it is nobody's fault."""
        if asset.state != AssetState.READY:
            return Finding(reason)
        metrics.SETTLED.labels("kept").inc()
        self.scratch.drop(asset.id)
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset.id)) is not None:
                row.plan_version = PLAN_VERSION
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
        if sniffed != asset.declared_type:
            scanned = await meter.run(partial(self.scanner.scan, path))
            is_threat = scanned.verdict is Verdict.INFECTED
            return Reason.THREAT if is_threat else Reason.TYPE_MISMATCH if sniffed else Reason.UNKNOWN_TYPE
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset.id)) is not None:
                row.content_type, row.object_version = sniffed, stored.version
        await meter.run(partial(self.store.storage.keep, stored))  # a form may be sent again as long as it is valid
        return None

    async def _use_known(self, asset_id: UUID) -> bool:
        """Whether the household has this content already; then its places use that one."""
        async with self.sessions.begin() as session:
            await media_use.hold_pets(session, asset_id)
            asset = await media_work.lock(session, asset_id)
            known = None if asset is None else await media_use.twin(session, asset)
            if asset is None or known is None:
                return False
            places = await media_work.links(session, asset.id)
            await media_use.merge(session, asset, known)
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
                home, text = Subject.household(await media_use.home_of(session, asset)), seen.captured_at.isoformat()
                asset.captured_at_ct = await self.cipher.seal(home, CAPTURED_AT, asset.id, text)
            await media_work.save_renditions(session, asset_id, files)


def _refusal(scanned: Scanned) -> Reason | None:
    """What its people are told; None for what is harmless."""
    match scanned.verdict:
        case Verdict.CLEAN:
            return None
        case Verdict.INFECTED:
            return Reason.THREAT
        case Verdict.REFUSED:
            return Reason.ENCRYPTED if scanned.name == ENCRYPTED else Reason.FORBIDDEN_CONTENT


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
