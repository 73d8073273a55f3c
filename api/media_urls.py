"""Addresses at which published files are read. Signed for an hour and handed out again for half of it: signing costs
more than the rest of a document, and a document whose addresses do not change keeps its ETag."""

import time
from collections import OrderedDict
from datetime import timedelta
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from domain.media import keys
from integrations.storage.disposition import content_disposition
from integrations.storage.protocol import ObjectStorage

LIVES: Final = timedelta(hours=1)
_REUSED_SECONDS: Final = LIVES.total_seconds() / 2
_KEPT: Final = 20_000


class MediaUrls:
    """Of this process."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self._made: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()

    def of(self, stored_under: UUID, asset_id: UUID, file: str, content_type: str, name: str) -> str:
        """Where this rendition is read. A browser that saves it calls it `name`, with the ending of the rendition."""
        key = keys.published(stored_under, asset_id, file)
        known = self._made.get((key, name))
        if known is not None and known[0] > time.monotonic():
            return known[1]
        saved = content_disposition(content_type, f"{PurePath(name).stem or name}{PurePath(file).suffix}")
        url = self._storage.download_url(key, content_type=content_type, disposition=saved, expires_in=LIVES)
        self._made[key, name] = (time.monotonic() + _REUSED_SECONDS, url)
        while len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return url

    def photo(self, row: Any) -> str | None:
        """Where the photo of a pet is read whose row has one."""
        if row["photo_id"] is None:
            return None
        return self.of(row["stored_under"], row["asset_id"], row["file"], row["file_type"], "photo")

    def variants(self, row: Any, name: str) -> list[dict[str, Any]]:
        """`variants` of a media whose row has them, smallest first."""
        return [
            {
                "name": file,
                "content_type": content_type,
                "size": size,
                "width": width,
                "height": height,
                "url": self.of(row["stored_under"], row["asset_id"], file, content_type, name),
            }
            for file, content_type, size, width, height in row["variants"]
        ]
