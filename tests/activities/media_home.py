"""A household with a pet and a store in memory: contents are uploaded as the api would, and worked on by the real
activities with the real decoder."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from PIL import Image
from temporalio.testing import ActivityEnvironment

from activities.media import MediaActivities
from activities.media_examination import MediaExaminationActivities
from activities.media_files import Scratch
from activities.media_store import MediaStore
from core.crypto import Subject
from core.ids import new_id
from domain.media import keys
from domain.media.limits import PART_BYTES, Purpose, part_sizes
from domain.media.reasons import Reason
from domain.media.state import AssetState
from integrations.imaging.confined import ConfinedImaging
from integrations.scanning.protocol import Scanned, Verdict
from integrations.storage.memory import MemoryStorage
from integrations.storage.protocol import Bucket
from models.media import MediaAsset, UploadState
from models.queries import media_uploads, media_work, storage_usage
from models.queries.media_uploads import Content, Place
from temporal.contracts.media import Finding, MediaTask, RefuseMedia, WorkOnMedia
from tests.activities.reminder_home import Home

QUOTA = 10**9


def photo(width: int = 640, height: int = 480, colour: tuple[int, int, int] = (200, 90, 40), **options: Any) -> bytes:
    """A JPEG of one colour; `options` are Pillow's (`exif=…`)."""
    made = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(made, "JPEG", **options)
    return made.getvalue()


@dataclass
class ScriptedScanner:
    """Answers what it was told to, once each, then `clean`; an exception is raised."""

    answers: list[Scanned | Exception] = field(default_factory=list)
    engine: str = "scripted"
    looked_at: list[bytes] = field(default_factory=list)
    rules: str = "1"

    def signatures(self) -> str:
        return self.rules

    def scan(self, path: Path) -> Scanned:
        self.looked_at.append(path.read_bytes())
        answer = self.answers.pop(0) if self.answers else Scanned(Verdict.CLEAN, None, self.engine, self.rules)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class MediaHome:
    """See the module."""

    home: Home
    folder: Path
    storage: MemoryStorage = field(default_factory=MemoryStorage)
    scanner: ScriptedScanner = field(default_factory=ScriptedScanner)
    imaging: ConfinedImaging = field(default_factory=ConfinedImaging)

    @property
    def activities(self) -> MediaActivities:
        """As the worker makes them."""
        return MediaActivities(
            self.home.db.sessions, self.home.cipher, MediaStore(self.storage), self.scanner, Scratch(self.folder)
        )

    @property
    def examination(self) -> MediaExaminationActivities:
        """As the worker makes them."""
        return MediaExaminationActivities(
            self.home.db.sessions,
            self.home.cipher,
            MediaStore(self.storage),
            self.imaging,
            self.scanner,
            Scratch(self.folder),
        )

    async def upload(
        self, content: bytes, *, declared: bytes | None = None, content_type: str = "image/jpeg", **place: Any
    ) -> UUID:
        """What arrived is `content`, what was promised `declared`; answers the asset."""
        promised = content if declared is None else declared
        about = Content(
            content_type=content_type,
            size=len(promised),
            sha256=hashlib.sha256(promised).digest(),
            keeps_captured_at=place.pop("keeps_captured_at", False),
        )
        where = Place(
            household_id=self.home.household_id,
            pet_id=self.home.pet_id,
            record_id=None,
            purpose=place.pop("purpose", Purpose.DOCUMENT),
            thread_id=place.pop("thread_id", None),
        )
        link_id, subject = new_id(), Subject.household(self.home.household_id)
        name = await self.home.cipher.seal(subject, "media_links.name_ct", link_id, "Milo.jpg")
        async with self.home.db.sessions.begin() as session:
            await storage_usage.reserve(session, where.household_id, about.size, QUOTA)
            until = datetime.now(UTC) + timedelta(hours=1)
            found = await media_uploads.begin(session, where, about, self.home.user_id, name, link_id, until)
            found.upload.state, found.asset.state = UploadState.COMPLETED, AssetState.SCANNING
        self.arrive(found.asset, content)
        return found.asset.id

    def arrive(self, asset: MediaAsset, content: bytes) -> None:
        """The bytes are in the quarantine. In parts, because nobody checks the hash of these."""
        key = keys.upload(asset.stored_under, asset.id)
        multipart = self.storage.begin_multipart(key, content_type=asset.declared_type)
        sizes = part_sizes(len(content))
        urls = self.storage.part_urls(key, multipart, sizes, expires_in=timedelta(hours=1))
        for number, size in sizes.items():
            start = (number - 1) * PART_BYTES
            self.storage.put_part(urls[number], content[start : start + size])
        self.storage.finish_multipart(key, multipart, self.storage.parts(key, multipart))

    async def run(self, step: str, asset_id: UUID) -> Any:
        """One activity, by its name."""
        owner = self.activities if hasattr(MediaActivities, step) else self.examination
        return await ActivityEnvironment().run(getattr(owner, step), WorkOnMedia(asset_id))

    async def examine(self, asset_id: UUID) -> Finding:
        """All steps before publication, until one of them ends it."""
        finding = Finding()
        for step in ("verify_media", "scan_media", "render_media"):
            finding = await self.run(step, asset_id)
            if finding != Finding():
                break
        return finding

    async def publish(self, content: bytes, **about: Any) -> UUID:
        """Uploaded, looked at, published."""
        asset_id = await self.upload(content, **about)
        finding = await self.examine(asset_id)
        assert finding == Finding(), finding
        await self.run("publish_media", asset_id)
        return asset_id

    async def work(self, asset_id: UUID) -> MediaTask:
        """What its workflow does, until nothing is left to do or nothing comes of it; answers what is left."""
        for _ in range(3):
            task: MediaTask = (await self.run("review_media", asset_id)).task
            steps = {
                MediaTask.PUBLISH: ("verify_media", "scan_media", "render_media"),
                MediaTask.RENDER: ("render_media",),
                MediaTask.RESCAN: ("scan_media",),
            }.get(task, ())
            if not steps:
                return task
            await self._process(asset_id, task, steps)
        return task

    async def _process(self, asset_id: UUID, task: MediaTask, steps: Sequence[str]) -> None:
        finding = Finding()
        for step in steps:
            if finding == Finding():
                finding = await self.run(step, asset_id)
        if finding.reason is not None:
            await self.refuse(asset_id, finding.reason)
        elif not finding.is_known and task is not MediaTask.RESCAN:
            await self.run("publish_media", asset_id)

    async def refuse(self, asset_id: UUID, reason: Reason) -> None:
        """The step after a finding."""
        await ActivityEnvironment().run(self.activities.refuse_media, RefuseMedia(asset_id, reason))

    async def asset(self, asset_id: UUID) -> MediaAsset | None:
        """Its row."""
        async with self.home.db.sessions() as session:
            return await media_work.find(session, asset_id)

    async def links(self, asset_id: UUID) -> list[Any]:
        """Where it is used."""
        return list(
            await self.home.rows("SELECT * FROM media_links WHERE asset_id = :id AND deleted_at IS NULL", id=asset_id)
        )

    async def usage(self) -> tuple[int, int]:
        """(used, reserved) bytes."""
        async with self.home.db.sessions() as session:
            return await storage_usage.counts(session, self.home.household_id)

    def stored(self, bucket: Bucket) -> list[str]:
        """Keys of what is there."""
        return [each.key for each in self.storage.listed(bucket, "").entries]
