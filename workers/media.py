"""What a worker of media has besides the others: storage, a decoder, a scanner, and a folder for files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from activities.media_files import Scratch, open_scratch
from core.settings import Settings
from integrations.imaging import cage
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.protocol import Imaging
from integrations.scanning.factory import open_scanner
from integrations.scanning.protocol import Scanner
from integrations.storage.factory import open_storage
from integrations.storage.protocol import ObjectStorage


@dataclass(frozen=True, slots=True)
class MediaParts:
    """See the module."""

    storage: ObjectStorage
    imaging: Imaging
    scanner: Scanner
    scratch: Scratch


@contextmanager
def open_media(settings: Settings) -> Iterator[MediaParts]:
    """Connects at the first call. Raises `ScanningMisconfigured` for a site that is served to others and has no virus
    scanner."""
    with open_scratch(settings.worker.scratch) as scratch:
        parts = MediaParts(open_storage(settings), ConfinedImaging(), open_scanner(settings), scratch)
        cage.keep_secrets()
        yield parts
