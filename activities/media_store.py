"""Contents in storage: what arrived, its bytes on this machine, its renditions, and its end. Blocking; raises
`StorageUnavailable` besides what each method names."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from activities.media_files import Meter
from core.errors import PetfolioError
from core.ids import new_id
from domain.media import keys
from domain.media.limits import MULTIPART_ABOVE
from domain.media.variants import EXTENSIONS
from integrations.imaging.protocol import RenderedFile
from integrations.storage.disposition import content_disposition
from integrations.storage.protocol import Bucket, ObjectChanged, ObjectStorage, StorageUnavailable, StoredObject
from integrations.storage.transfer import hash_of
from models.media import MediaAsset, MediaVariant
from models.queries.media_work import File

T = TypeVar("T")

CACHE_CONTROL: Final = "private, max-age=3600"
"""As long as the address is signed for. A later plan writes renditions anew under their keys, at another address."""


_AGAIN_AFTER: Final = (0.25, 1.0)
"""Seconds before a rendition is sent once more, and once more."""


def insisted(put: Callable[[], T], meter: Meter) -> T:
    """What it answers, however it breaks off twice: to make all renditions anew for one of them costs a second of CPU,
    and a line that loses one request in ten never gets thirteen through. Raises `StorageUnavailable`, at once where
    storage says when it wants to be asked again, and `Stopped`."""
    for pause in _AGAIN_AFTER:
        meter.heard(1.0)
        try:
            return put()
        except StorageUnavailable as away:
            if away.retry_after is not None:
                raise
        time.sleep(pause)
    meter.heard(1.0)
    return put()


class NotStored(PetfolioError):
    """What was verified is not there any more."""

    code = "media_not_stored"


@dataclass(frozen=True, slots=True)
class MediaStore:
    """See the module."""

    storage: ObjectStorage

    def arrived(self, asset: MediaAsset) -> StoredObject | None:
        """The newest version of what was uploaded; None: nothing has come."""
        return self.storage.head(Bucket.QUARANTINE, keys.upload(asset.stored_under, asset.id))

    def fetch(self, asset: MediaAsset, stored: StoredObject, folder: Path, meter: Meter) -> Path | None:
        """The bytes as a file; None where their hash is not the promised one. An attempt that was given up may still
        write where this one does: only a fresh copy proves that they are others."""
        path = folder / "content"
        if self._hash(stored, path, meter) == asset.sha256.hex():
            return path
        path.unlink(missing_ok=True)
        fresh = folder / f"content-{new_id()}"
        if self._hash(stored, fresh, meter) == asset.sha256.hex():
            return fresh.replace(path)
        fresh.unlink(missing_ok=True)
        return None

    def verified(self, asset: MediaAsset, folder: Path, meter: Meter) -> Path:
        """The bytes of the version that was verified. Raises `NotStored`: it is gone, and is not on this machine."""
        here = folder / "content"
        if here.exists() and hash_of(here) == asset.sha256.hex():
            return here
        key = keys.upload(asset.stored_under, asset.id)
        stored = self.storage.head(Bucket.QUARANTINE, key, version=asset.object_version)
        path = None if stored is None else self.fetch(asset, stored, folder, meter)
        if path is None:
            raise NotStored("the upload is not there any more")
        return path

    def published(self, asset: MediaAsset, file: MediaVariant, folder: Path, meter: Meter) -> Path | None:
        """The bytes of a rendition; None: it is not there."""
        stored = self.storage.head(Bucket.MEDIA, keys.published(asset.stored_under, asset.id, file.name))
        path = folder / file.name
        path.unlink(missing_ok=True)
        return path if stored is not None and self._hash(stored, path, meter) is not None else None

    def publish(self, asset: MediaAsset, file: RenderedFile) -> File:
        """Store a rendition."""
        name = f"{file.name}.{EXTENSIONS[file.content_type]}"
        self.storage.put(
            Bucket.MEDIA,
            keys.published(asset.stored_under, asset.id, name),
            file.path,
            content_type=file.content_type,
            disposition=content_disposition(file.content_type, name),
            cache_control=CACHE_CONTROL,
        )
        return File(name, file.content_type, file.size, file.width or None, file.height or None)

    def renditions(self, asset: MediaAsset) -> Mapping[str, int]:
        """Bytes of the renditions that lie there, by name."""
        prefix = keys.published_prefix(asset.stored_under, asset.id)
        return {key.removeprefix(prefix): size for key, size in self.storage.sizes(Bucket.MEDIA, prefix).items()}

    def prune(self, asset: MediaAsset, former: Iterable[str]) -> None:
        """Renditions that a former release made, and this one does not; parts that were sent beside the upload."""
        if keys_of_former := [keys.published(asset.stored_under, asset.id, name) for name in former]:
            self.storage.delete(Bucket.MEDIA, keys_of_former)
        if asset.declared_bytes > MULTIPART_ABOVE:
            self.storage.abort_multiparts(keys.upload(asset.stored_under, asset.id))

    def remove(self, asset: MediaAsset) -> None:
        """Every version, rendition and open part of it."""
        self.withdraw(asset)
        self.storage.delete(Bucket.QUARANTINE, [keys.upload(asset.stored_under, asset.id)])

    def withdraw(self, asset: MediaAsset) -> None:
        """Every rendition of it; what was uploaded stays in the quarantine."""
        prefix, after = keys.published_prefix(asset.stored_under, asset.id), None
        while True:
            page = self.storage.listed(Bucket.MEDIA, prefix, after=after)
            if page.entries:
                self.storage.delete(Bucket.MEDIA, [each.key for each in page.entries])
            if (after := page.after) is None:
                break

    def _hash(self, stored: StoredObject, path: Path, meter: Meter) -> str | None:
        """None: what lies there is of another content."""
        size = max(stored.size, 1)
        try:
            return self.storage.fetch(stored, path, on_bytes=lambda count: meter.heard(count / size))
        except ObjectChanged:
            return None
