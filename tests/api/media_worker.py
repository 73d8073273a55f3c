"""What becomes of uploads of tests of the api, in their turn: the steps of the workflow on real storage with the real
rules and the real decoder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from temporalio.testing import ActivityEnvironment

from activities.media import MediaActivities
from activities.media_examination import MediaExaminationActivities
from activities.media_files import Scratch
from activities.media_store import MediaStore
from domain.media.reasons import Reason
from integrations.imaging.confined import ConfinedImaging
from integrations.scanning.yara import YaraScanner
from integrations.storage.protocol import Bucket, ObjectStorage
from temporal.contracts.media import Finding, MediaTask, RefuseMedia, WorkOnMedia
from tests.api.media_kit import Uploader, send_form
from tests.services import S3Server
from tests.storage.stores import s3_client

BUCKETS = tuple(f"petfolio-{bucket}" for bucket in (Bucket.QUARANTINE, Bucket.MEDIA))
SCANNER = YaraScanner()


@dataclass(frozen=True, slots=True)
class MediaWorker:
    """See the module. `admin` sees everything that lies in the buckets."""

    app: FastAPI
    s3: S3Server
    folder: Path

    @property
    def storage(self) -> ObjectStorage:
        """The store of the api."""
        storage: ObjectStorage = self.app.state.services.storage
        return storage

    async def send(self, milo: Uploader, content: bytes, **about: Any) -> dict[str, Any]:
        """Announced, sent, handed over, looked at; answers the media."""
        upload = await milo.begin(content, **about)
        assert await send_form(upload["form"], content) < 300
        assert (await milo.complete(upload)).status_code == 202
        await self.work(upload["media_id"])
        return dict((await milo.person.request("GET", f"/media/{upload['media_id']}")).json())

    async def work(self, media_id: str) -> None:
        """As the workflow of a media's content does, until nothing is left to do."""
        await self.work_on(await self.asset_of(media_id))

    async def work_on(self, asset_id: UUID) -> None:
        """As `work`, by the content."""
        while (task := (await self._run("review_media", asset_id)).task) is not MediaTask.NOTHING:
            if task is MediaTask.REMOVE:
                await self._run("remove_media", asset_id)
                continue
            finding = await self._examine(asset_id)
            if finding.reason is not None:
                await self._refuse(asset_id, finding.reason)
            elif not finding.is_known:
                await self._run("publish_media", asset_id)

    async def work_all(self) -> None:
        """Whoever was rung."""
        db = self.app.state.services.db
        for row in await db.reads.fetch("SELECT DISTINCT args ->> 'asset_id' AS id FROM outbox WHERE kind = 'media'"):
            await self.work_on(UUID(row["id"]))

    async def asset_of(self, media_id: str) -> UUID:
        """The content of a media, deleted ones too."""
        db = self.app.state.services.db
        return UUID(str(await db.reads.fetchval("SELECT asset_id FROM media_links WHERE id = $1", media_id)))

    def lying(self, word: object) -> list[str]:
        """Versions, delete markers and open uploads in both buckets whose key has this word in it."""
        client, found = s3_client(self.s3), []
        for bucket in BUCKETS:
            for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
                found += [each["Key"] for kind in ("Versions", "DeleteMarkers") for each in page.get(kind, ())]
            found += [each["Key"] for each in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]
        return [key for key in found if str(word) in key]

    async def _examine(self, asset_id: UUID) -> Finding:
        for step in ("verify_media", "scan_media", "render_media"):
            finding: Finding = await self._run(step, asset_id)
            if finding != Finding():
                break
        return finding

    async def _refuse(self, asset_id: UUID, reason: Reason) -> None:
        await ActivityEnvironment().run(self._activities().refuse_media, RefuseMedia(asset_id, reason))

    async def _run(self, step: str, asset_id: UUID) -> Any:
        owner = self._activities() if hasattr(MediaActivities, step) else self._examination()
        return await ActivityEnvironment().run(getattr(owner, step), WorkOnMedia(asset_id))

    def _activities(self) -> MediaActivities:
        services = self.app.state.services
        return MediaActivities(
            services.db.sessions, services.cipher, MediaStore(self.storage), SCANNER, Scratch(self.folder)
        )

    def _examination(self) -> MediaExaminationActivities:
        services = self.app.state.services
        return MediaExaminationActivities(
            services.db.sessions,
            services.cipher,
            MediaStore(self.storage),
            ConfinedImaging(),
            SCANNER,
            Scratch(self.folder),
        )


@pytest.fixture
def worker(app: FastAPI, s3: S3Server, tmp_path: Path) -> MediaWorker:
    """Of the api under test."""
    return MediaWorker(app, s3, tmp_path)
