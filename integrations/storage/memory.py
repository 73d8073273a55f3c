"""A store in memory with versions, upload forms and signed URLs: a real backend for tests.

`post`, `put_part` and `get` are its HTTP side, what a browser does with what was signed. They refuse what S3 refuses,
with `Refused`. `fail_next`: as many calls fail before they act.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from integrations.storage.memory_uploads import Grant, Grants, Upload
from integrations.storage.protocol import (
    Bucket,
    Listed,
    ObjectMissing,
    Page,
    Part,
    Refused,
    StorageUnavailable,
    StoredObject,
    UploadForm,
)
from integrations.storage.transfer import continued

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Version:
    """`body` None: a delete marker."""

    stored: StoredObject
    body: bytes | None
    headers: Mapping[str, str]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class MemoryStorage:
    """`ObjectStorage`; see the module."""

    now: Callable[[], datetime] = _now
    fail_next: int = 0
    _objects: dict[tuple[Bucket, str], list[_Version]] = field(default_factory=dict)
    _uploads: dict[str, Upload] = field(default_factory=dict)
    _grants: Grants = field(default_factory=Grants)

    def upload_form(self, key: str, *, content_type: str, size: int, sha256: str, expires_in: timedelta) -> UploadForm:
        """See `ObjectStorage`."""
        grant = Grant("post", key, self.now() + expires_in, size=size, content_type=content_type, sha256=sha256)
        fields = {"Content-Type": content_type, "x-amz-checksum-sha256": sha256, "key": key}
        return UploadForm("memory:", {**fields, "policy": self._grants.given(grant)}, grant.expires_at)

    def post(self, fields: Mapping[str, str], body: bytes) -> None:
        """What a browser sends to an `UploadForm`."""
        grant = self._grants.taken("post", fields["policy"], self.now())
        sent = (fields["key"], fields["Content-Type"], fields["x-amz-checksum-sha256"])
        if sent != (grant.key, grant.content_type, grant.sha256):
            raise Refused("the form does not allow that")
        if len(body) != grant.size or hashlib.sha256(body).hexdigest() != grant.sha256:
            raise Refused("these are not the bytes that the form is for")
        self._store(Bucket.QUARANTINE, grant.key, body, grant.content_type, {}, sha256=grant.sha256)

    def begin_multipart(self, key: str, *, content_type: str) -> str:
        """See `ObjectStorage`."""
        self._may_fail()
        upload_id = secrets.token_hex(8)
        self._uploads[upload_id] = Upload(key, content_type, self.now())
        return upload_id

    def part_urls(
        self, key: str, upload_id: str, sizes: Mapping[int, int], *, expires_in: timedelta
    ) -> Mapping[int, str]:
        """See `ObjectStorage`."""
        until = self.now() + expires_in
        grants = {n: Grant("part", key, until, size=size, upload_id=upload_id, number=n) for n, size in sizes.items()}
        return {number: self._grants.given(grant) for number, grant in grants.items()}

    def put_part(self, url: str, body: bytes) -> str:
        """What a browser PUTs to a part's URL; the ETag of the answer."""
        grant = self._grants.taken("part", url, self.now())
        if len(body) != grant.size:
            raise Refused("the signature is for another length")
        return self._open(grant.key, grant.upload_id).add(grant.number, body)

    def parts(self, key: str, upload_id: str) -> Sequence[Part]:
        """See `ObjectStorage`."""
        self._may_fail()
        return self._open(key, upload_id).listed()

    def finish_multipart(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """See `ObjectStorage`."""
        self._may_fail()
        upload = self._open(key, upload_id)
        self._store(Bucket.QUARANTINE, key, upload.joined(parts), upload.content_type, {})
        del self._uploads[upload_id]

    def abort_multiparts(self, key: str) -> None:
        """See `ObjectStorage`."""
        self._may_fail()
        self._uploads = {upload_id: upload for upload_id, upload in self._uploads.items() if upload.key != key}

    def head(self, bucket: Bucket, key: str, *, version: str | None = None) -> StoredObject | None:
        """See `ObjectStorage`."""
        self._may_fail()
        found = self._found(bucket, key, version)
        return found.stored if found and found.body is not None else None

    def fetch(self, stored: StoredObject, into: Path, *, on_bytes: Callable[[int], None]) -> str:
        """See `ObjectStorage`."""
        self._may_fail()
        found = self._found(stored.bucket, stored.key, stored.version)
        if found is None or found.body is None:
            raise ObjectMissing("there is no such version")
        body = found.body
        return continued(into, stored.size, lambda start: _Body(body[start:]), on_bytes)

    def put(
        self, bucket: Bucket, key: str, path: Path, *, content_type: str, disposition: str, cache_control: str
    ) -> None:
        """See `ObjectStorage`."""
        self._may_fail()
        body = path.read_bytes()
        headers = {"content-disposition": disposition, "cache-control": cache_control}
        self._store(bucket, key, body, content_type, headers, sha256=hashlib.sha256(body).hexdigest())

    def hide(self, bucket: Bucket, key: str) -> None:
        """What a plain DELETE of S3 does: a delete marker on top."""
        marker = self._version(bucket, key, b"", "", None)
        self._objects.setdefault((bucket, key), []).append(_Version(marker, None, {}))

    def delete(self, bucket: Bucket, keys: Sequence[str]) -> None:
        """See `ObjectStorage`."""
        self._may_fail()
        for key in keys:
            self._objects.pop((bucket, key), None)
            if bucket is Bucket.QUARANTINE:
                self._uploads = {name: upload for name, upload in self._uploads.items() if upload.key != key}

    def keep(self, stored: StoredObject) -> None:
        """See `ObjectStorage`."""
        self._may_fail()
        where = (stored.bucket, stored.key)
        kept = [each for each in self._objects.pop(where, []) if each.stored.version == stored.version]
        self._objects |= {where: kept} if kept else {}

    def listed(self, bucket: Bucket, prefix: str, *, after: str | None = None) -> Page:
        """See `ObjectStorage`."""
        self._may_fail()
        keys = sorted(
            key for where, key in self._objects if where is bucket and key.startswith(prefix) and key > (after or "")
        )
        page = [self._entry(bucket, key) for key in keys[:_PAGE]]
        return Page(page, keys[_PAGE - 1] if len(keys) > _PAGE else None)

    def sizes(self, bucket: Bucket, prefix: str) -> Mapping[str, int]:
        """See `ObjectStorage`."""
        self._may_fail()
        newest = {key: self._found(bucket, key, None) for where, key in self._objects if where is bucket}
        return {
            key: each.stored.size
            for key, each in sorted(newest.items())
            if key.startswith(prefix) and each is not None and each.body is not None
        }

    def download_url(self, key: str, *, content_type: str, disposition: str, expires_in: timedelta) -> str:
        """See `ObjectStorage`."""
        until = self.now() + expires_in
        return self._grants.given(Grant("get", key, until, content_type=content_type, disposition=disposition))

    def get(self, url: str) -> tuple[bytes, Mapping[str, str]]:
        """What a browser gets at a download URL: bytes and headers, these in lower case."""
        grant = self._grants.taken("get", url, self.now())
        found = self._found(Bucket.MEDIA, grant.key, None)
        if found is None or found.body is None:
            raise ObjectMissing("there is no such object")
        headers = {"content-type": grant.content_type, "content-disposition": grant.disposition}
        return found.body, {**found.headers, **headers}

    def _may_fail(self) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise StorageUnavailable("told to fail", retry_after=1)

    def _open(self, key: str, upload_id: str) -> Upload:
        upload = self._uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise ObjectMissing("there is no such upload")
        return upload

    def _found(self, bucket: Bucket, key: str, version: str | None) -> _Version | None:
        versions = self._objects.get((bucket, key), [])
        if version is None:
            return versions[-1] if versions else None
        return next((each for each in versions if each.stored.version == version), None)

    def _store(
        self,
        bucket: Bucket,
        key: str,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str],
        *,
        sha256: str | None = None,
    ) -> StoredObject:
        stored = self._version(bucket, key, body, content_type, sha256)
        self._objects.setdefault((bucket, key), []).append(_Version(stored, body, headers))
        return stored

    def _version(self, bucket: Bucket, key: str, body: bytes, content_type: str, sha256: str | None) -> StoredObject:
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return StoredObject(bucket, key, secrets.token_hex(8), etag, len(body), content_type, self.now(), sha256)

    def _entry(self, bucket: Bucket, key: str) -> Listed:
        versions = [each.stored for each in self._objects[bucket, key]]
        return Listed(key, sum(each.size for each in versions), max(each.modified_at for each in versions))


@dataclass(slots=True)
class _Body:
    """What is left to read, as boto3's streams give it."""

    rest: bytes

    def read(self, size: int) -> bytes:
        block, self.rest = self.rest[:size], self.rest[size:]
        return block

    def close(self) -> None:
        self.rest = b""
