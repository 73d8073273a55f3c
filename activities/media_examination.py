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

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import media_metrics as metrics
from activities.media_files import Meter, Scratch, metered
from activities.media_store import MediaStore, NotStored, insisted
from core import live
from core.crypto import FieldCipher, Subject
from core.db import SessionFactory
from core.logging import logger
from domain.media import variants
from domain.media.reasons import Reason, reason_of
from domain.media.sniff import HEAD_BYTES, sniff
from domain.media.state import AssetState, Stage, percent
from domain.media.variants import PLAN_VERSION
from integrations.imaging.protocol import Imaging, Inspected, Rendered, Unreadable
from integrations.scanning.protocol import ENCRYPTED, Scanned, Scanner, ScanTooSlow, Verdict
from integrations.storage.protocol import StoredObject
from models.media import MediaAsset
from models.queries import media_use, media_work
from models.queries.media_work import File
from temporal import outbox
from temporal.contracts.media import Finding, WorkOnMedia

log = logger(__name__)

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
                verified = await self._verify(asset, meter)
        if isinstance(verified, Reason):
            return Finding(verified)
        return Finding(is_known=await self._note_verified(asset.id, verified))

    @activity.defn
    async def scan_media(self, request: WorkOnMedia) -> Finding:
        """Whether it is harmless, and who says so. Raises `ScannerUnavailable`: then it is not published."""
        asset = await self._begin(request.asset_id, Stage.SCANNING)
        if asset is None:
            return GONE
        with metrics.timed(Stage.SCANNING):
            async with metered() as meter:
                try:
                    scanned = await self._scan(asset, meter)
                except ScanTooSlow:
                    if self.scratch.count_slow_scan(asset.id) < SLOW_SCANS:
                        raise
                    return await self._never_scanned(asset)
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset.id)) is not None:
                await self._note(session, row, scanned)
        if asset.state != AssetState.SCANNING:  # nothing follows that needs them
            self.scratch.drop(asset.id)
        return Finding(Reason.MISSING if scanned is None else _refusal(scanned))

    @activity.defn
    async def render_media(self, request: WorkOnMedia) -> Finding:
        """Decode it in a process that may die, and store what will be shown of it. Raises `ImagingUnavailable`,
        `StorageUnavailable`."""
        asset = await self._begin(request.asset_id, Stage.DECODING)
        if asset is None:
            return GONE
        try:
            with self.scratch.output(asset.id) as made:
                inspected, rendered = await self._render(asset, made)
                await self._advance(asset.id, Stage.PUBLISHING)
                with metrics.timed(Stage.PUBLISHING):
                    async with metered() as meter:
                        files = await meter.run(partial(self._put, asset, rendered, meter))
        except Unreadable as refused:
            return await self._unrendered(asset, reason_of(refused.reason))
        except NotStored:
            return await self._unrendered(asset, Reason.MISSING)
        await self._save(asset.id, inspected, rendered, files)
        return Finding()

    async def _never_scanned(self, asset: MediaAsset) -> Finding:
        """These rules come to no end with it. What was published after a look by others stays until they change."""
        signatures = await asyncio.to_thread(self.scanner.signatures)
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset.id)) is not None:
                row.scan_engine, row.signatures = self.scanner.engine, signatures
        return await self._unrendered(asset, Reason.TOO_SLOW)

    async def _unrendered(self, asset: MediaAsset, reason: Reason) -> Finding:
        """What was published before stays so, as it is: that its upload is gone, or a newer decoder cannot read it, is
        nobody's fault. It is not tried again before the next plan."""
        if asset.state != AssetState.READY:
            return Finding(reason)
        metrics.KEPT.labels(reason).inc()
        log.warning("media_kept_as_it_was", asset_id=str(asset.id), reason=reason)
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset.id)) is not None:
                row.plan_version, row.reason = PLAN_VERSION, reason.value
        self.scratch.drop(asset.id)
        return Finding(is_known=True)

    async def _scan(self, asset: MediaAsset, meter: Meter) -> Scanned | None:
        """What the scanner says of the upload or, where that is gone, of what is published. None: nothing is left."""
        try:
            return await meter.run(partial(self.scanner.scan, await self._local(asset, meter)))
        except NotStored:
            async with self.sessions() as session:
                files = await media_work.renditions(session, asset.id)
        scanned = None
        for file in files if asset.state == AssetState.READY else ():
            path = await meter.run(partial(self.store.published, asset, file, self.scratch.of(asset.id), meter))
            if path is not None and (scanned is None or scanned.verdict is Verdict.CLEAN):
                scanned = await meter.run(partial(self.scanner.scan, path))
        return scanned

    async def _note(self, session: AsyncSession, row: MediaAsset, scanned: Scanned | None) -> None:
        """With what it was looked at. What is withdrawn, and clear by now, goes the whole way again."""
        if scanned is None:
            row.signatures = await asyncio.to_thread(self.scanner.signatures)
            return
        row.scan_engine, row.signatures, row.threat = scanned.engine, scanned.signatures, scanned.name
        if row.state == AssetState.QUARANTINED and scanned.verdict is Verdict.CLEAN:
            await media_work.look_anew(session, row)

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

    async def _verify(self, asset: MediaAsset, meter: Meter) -> Reason | StoredObject:
        """The version that it is from now on, or why not."""
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
            is_threat = await self._is_threat(asset, path, meter)
            return Reason.THREAT if is_threat else Reason.TYPE_MISMATCH if sniffed else Reason.UNKNOWN_TYPE
        await meter.run(partial(self.store.storage.keep, stored))  # a form may be sent again as long as it is valid
        return stored

    async def _is_threat(self, asset: MediaAsset, path: Path, meter: Meter) -> bool:
        """Of what is refused in any case; where the scanner comes to no end, for that alone."""
        try:
            scanned = await meter.run(partial(self.scanner.scan, path))
        except ScanTooSlow:
            return False
        async with self.sessions.begin() as session:
            if (row := await media_work.lock(session, asset.id)) is not None:
                await self._note(session, row, scanned)
        return scanned.verdict is Verdict.INFECTED

    async def _note_verified(self, asset_id: UUID, stored: StoredObject) -> bool:
        """Pin the version. Whether the household has this content already; then its places use that one."""
        async with self.sessions.begin() as session:
            await media_use.hold_pets(session, asset_id)
            asset = await media_work.lock(session, asset_id)
            if asset is None:
                return False
            asset.content_type, asset.object_version = asset.declared_type, stored.version
            known = await media_use.twin(session, asset)
            if known is None:
                return False
            places = await media_work.links(session, asset.id)
            await media_use.merge(session, asset, known)
            if known.plan_version < PLAN_VERSION:
                await outbox.ring_media(session, known.stored_under, known.id, is_urgent=False)
            await media_work.show(session, known)
            for each in places:
                await media_work.tell_of(session, each, live.Name.MEDIA_READY)
            return True

    async def _local(self, asset: MediaAsset, meter: Meter) -> Path:
        """The verified bytes on this machine: from the step before, or fetched anew."""
        return await meter.run(partial(self.store.verified, asset, self.scratch.of(asset.id), meter))

    async def _render(self, asset: MediaAsset, made: Path) -> tuple[Inspected, Rendered]:
        with metrics.timed(Stage.DECODING):
            async with metered() as meter:
                path = await self._local(asset, meter)
                inspected = await meter.run(partial(self.imaging.inspect, path))
        await self._advance(asset.id, Stage.RENDERING)
        plan = variants.plan(inspected.content_type, inspected.width, inspected.height, animated=inspected.animated)
        with metrics.timed(Stage.RENDERING):
            async with metered(partial(self._advance, asset.id, Stage.RENDERING)) as meter:
                render = partial(self.imaging.render, path, made, plan=plan, on_progress=meter.heard_percent)
                return inspected, await meter.run(render)

    def _put(self, asset: MediaAsset, rendered: Rendered, meter: Meter) -> Sequence[File]:
        files = [insisted(partial(self.store.publish, asset, each), meter) for each in rendered.files]
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
            if asset.state == AssetState.READY:  # what kept it as it was does so no more
                asset.reason, asset.version = None, asset.version + 1
            asset.captured_at_ct = None
            if seen.captured_at is not None and await media_use.wants_date(session, asset_id):
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
