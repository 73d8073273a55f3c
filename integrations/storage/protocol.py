"""What a keeper of files must do. Adapters: `s3` (boto3; SeaweedFS locally), `memory`; `cloudfront` signs URLs alone.

Every method blocks, so a caller with an event loop uses a thread; signing (`upload_form`, `part_urls`,
`download_url`) asks nobody and may be called anywhere. Nothing is retried here: Temporal retries, and each method may
be repeated. Checksums are SHA-256 in lower-case hex.

    StorageUnavailable   no answer, a failure of theirs, too many requests, or rights that we lack until somebody
                         puts them right: what was asked may have been done
    ObjectMissing        no such object, version, or multipart upload (it was completed or aborted)
    Refused              not as it was asked; asking again changes nothing
    └── ObjectChanged    another content than it was before, or than was promised
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from core.errors import PetfolioError, Unavailable


class Bucket(StrEnum):
    """Which store: what was uploaded and nobody may read by URL, or what is published."""

    QUARANTINE = "quarantine"
    MEDIA = "media"


class StorageUnavailable(Unavailable):
    """The same call may succeed later; this one may have succeeded too."""

    code = "storage_unavailable"


class ObjectMissing(PetfolioError):
    """There is no such object, version or open multipart upload."""

    code = "storage_object_missing"
    http_status = 404


class Refused(PetfolioError):
    """The store looked and said no: a key, a part or a size that it does not take."""

    code = "storage_refused"
    http_status = 502


class ObjectChanged(Refused):
    """The bytes are not those that were asked for: overwritten meanwhile, or damaged on the way."""

    code = "storage_object_changed"


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A presigned POST: `fields` in this order, then the file as the last field. It is a password: never logged."""

    url: str
    fields: Mapping[str, str] = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has arrived."""

    number: int
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of an object. `sha256` is what the store vouches for, None where it does not (multipart)."""

    bucket: Bucket
    key: str
    version: str | None
    etag: str
    size: int
    content_type: str
    modified_at: datetime
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A key with whatever versions it has: their bytes together, and when the last of them came or went."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in the order of their keys; `after` asks for the next page, None: this was the last."""

    entries: Sequence[Listed]
    after: str | None


class ObjectStorage(Protocol):
    """Two buckets with versions. Raises what the module names, nothing else."""

    def upload_form(self, key: str, *, content_type: str, size: int, sha256: str, expires_in: timedelta) -> UploadForm:
        """Lets whoever has it put exactly this content under this key of the quarantine, until it expires.

        It can be used more than once, and a store may not check the hash: see the adapter. Whoever takes the upload
        over therefore pins the version and hashes what it reads.
        """
        ...

    def begin_multipart(self, key: str, *, content_type: str) -> str:
        """The id of a new multipart upload into the quarantine."""
        ...

    def part_urls(
        self, key: str, upload_id: str, sizes: Mapping[int, int], *, expires_in: timedelta
    ) -> Mapping[int, str]:
        """For each number of a part, where to PUT its bytes: exactly as many as `sizes` says."""
        ...

    def parts(self, key: str, upload_id: str) -> Sequence[Part]:
        """What has arrived, by number: after a crash the client sends the others. Raises `ObjectMissing`."""
        ...

    def finish_multipart(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Join these parts. Raises `ObjectMissing` for an upload that was aborted, and maybe for one that was finished
        before (a store may also answer as it did then), and `Refused` for parts that it does not have."""
        ...

    def abort_multiparts(self, key: str) -> None:
        """Whatever uploads of this key are open in the quarantine end: also one whose id was lost on its way to us."""
        ...

    def head(self, bucket: Bucket, key: str, *, version: str | None = None) -> StoredObject | None:
        """The newest version, or this one; None where there is none or it was deleted."""
        ...

    def fetch(self, stored: StoredObject, into: Path, *, on_bytes: Callable[[int], None]) -> str:
        """Write exactly this version to a file and answer the hash of what was written.

        A file that is there already is taken for the beginning of it and continued. `on_bytes` hears how many there
        are, between blocks; what it raises ends the transfer and leaves the file to be continued. Raises
        `ObjectMissing`, and `ObjectChanged` where the store sends more or fewer bytes than `stored.size`.
        """
        ...

    def put(
        self, bucket: Bucket, key: str, path: Path, *, content_type: str, disposition: str, cache_control: str
    ) -> None:
        """Store a file. The store checks its hash on arrival; whoever shows it to others looks for it with `head`."""
        ...

    def delete(self, bucket: Bucket, keys: Sequence[str]) -> None:
        """Nothing of these keys is left: every version, delete marker and open multipart upload. Keys that nobody has
        are gone already."""
        ...

    def keep(self, stored: StoredObject) -> None:
        """Nothing of its key is left but this version."""
        ...

    def listed(self, bucket: Bucket, prefix: str, *, after: str | None = None) -> Page:
        """A page of what is there, objects that are hidden behind a delete marker included: these must go too."""
        ...

    def sizes(self, bucket: Bucket, prefix: str) -> Mapping[str, int]:
        """Bytes of the newest versions under a prefix, by key, as `head` would find them: at most a thousand."""
        ...

    def download_url(self, key: str, *, content_type: str, disposition: str, expires_in: timedelta) -> str:
        """Lets whoever has it read this published object until it expires, or until the object is deleted.

        `disposition` as `integrations.storage.disposition` makes it; the answer carries both headers.
        """
        ...
