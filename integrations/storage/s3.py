"""Files in S3 through boto3, SeaweedFS locally. Every object asks for encryption at rest in the mode of the settings.

What an upload form promises is checked by the store: key, type, size, SHA-256, encryption, expiry (AWS documents it;
SeaweedFS 4.48 does it, measured in tests/storage/test_upload_rules.py). What no store checks: a form may be used again
until it expires, and then makes another version with the same content; the parts of a multipart upload carry signed
sizes but no hash. Whoever takes an upload over pins the version and compares the hash that `fetch` answers.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from integrations.storage.calls import asked
from integrations.storage.encryption import Encryption
from integrations.storage.listing import every_multipart, every_version, listed, sizes
from integrations.storage.protocol import (
    Bucket,
    ObjectMissing,
    Page,
    Part,
    Refused,
    StorageUnavailable,
    StoredObject,
    UploadForm,
)
from integrations.storage.transfer import continued, hash_of

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_ROUNDS = 50
"""Of deleting a page of versions; a key with more than 50,000 of them is somebody's mistake to look at."""


class DownloadUrls(Protocol):
    """Who signs downloads: S3 itself, or CloudFront."""

    def download_url(self, key: str, *, content_type: str, disposition: str, expires_in: timedelta) -> str:
        """As `ObjectStorage.download_url`."""
        ...


class S3Storage:
    """`ObjectStorage`. `client` makes the calls; `public` signs for browsers, at the address that they know."""

    def __init__(
        self,
        client: "S3Client",
        public: "S3Client",
        names: Mapping[Bucket, str],
        encryption: Encryption,
        urls: DownloadUrls | None = None,
    ) -> None:
        self._client, self._public, self._names = client, public, names
        self._encryption, self._urls = encryption, urls

    def upload_form(self, key: str, *, content_type: str, size: int, sha256: str, expires_in: timedelta) -> UploadForm:
        """See `ObjectStorage`."""
        expires_at = datetime.now(UTC) + expires_in
        fields = {
            "Content-Type": content_type,
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": _base64(sha256),
            **self._encryption.fields(),
        }
        form = self._public.generate_presigned_post(
            self._names[Bucket.QUARANTINE],
            key,
            Fields=dict(fields),
            Conditions=[*({name: value} for name, value in fields.items()), ["content-length-range", size, size]],
            ExpiresIn=int(expires_in.total_seconds()),
        )
        # Without the slash SeaweedFS answers a preflight as if every origin were welcome (4.48, measured).
        return UploadForm(form["url"].rstrip("/") + "/", form["fields"], expires_at)

    def begin_multipart(self, key: str, *, content_type: str) -> str:
        """See `ObjectStorage`."""
        where = self._at(Bucket.QUARANTINE, key)
        how = self._encryption.arguments()
        return asked(lambda: self._client.create_multipart_upload(**where, ContentType=content_type, **how))["UploadId"]

    def part_urls(
        self, key: str, upload_id: str, sizes: Mapping[int, int], *, expires_in: timedelta
    ) -> Mapping[int, str]:
        """See `ObjectStorage`. The size is a signed header, so a body of another length has another signature."""
        upload = {**self._at(Bucket.QUARANTINE, key), "UploadId": upload_id}
        return {
            number: self._public.generate_presigned_url(
                "upload_part",
                Params={**upload, "PartNumber": number, "ContentLength": size},
                ExpiresIn=int(expires_in.total_seconds()),
            )
            for number, size in sizes.items()
        }

    def parts(self, key: str, upload_id: str) -> Sequence[Part]:
        """See `ObjectStorage`. One page: S3's holds a thousand, our largest upload has 25."""
        where = self._at(Bucket.QUARANTINE, key)
        answer = asked(lambda: self._client.list_parts(**where, UploadId=upload_id))
        return [Part(each["PartNumber"], each["ETag"], each["Size"]) for each in answer.get("Parts", ())]

    def finish_multipart(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """See `ObjectStorage`."""
        if not parts:  # SeaweedFS would say that the upload is missing
            raise Refused("an upload has at least one part")
        where = self._at(Bucket.QUARANTINE, key)
        joined: Any = {"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]}
        asked(lambda: self._client.complete_multipart_upload(**where, UploadId=upload_id, MultipartUpload=joined))

    def abort_multiparts(self, key: str) -> None:
        """See `ObjectStorage`."""
        self._abort_all(self._at(Bucket.QUARANTINE, key))

    def head(self, bucket: Bucket, key: str, *, version: str | None = None) -> StoredObject | None:
        """See `ObjectStorage`."""
        where: Any = {**self._at(bucket, key), **({"VersionId": version} if version else {})}
        try:
            answer: Any = asked(lambda: self._client.head_object(**where, ChecksumMode="ENABLED"))
        except ObjectMissing:
            return None
        return StoredObject(
            bucket,
            key,
            answer.get("VersionId"),
            answer["ETag"],
            answer["ContentLength"],
            answer.get("ContentType", ""),
            answer["LastModified"],
            # A multipart's checksum is one of its parts' checksums (S3: `COMPOSITE`), written `…-3`.
            _hex(checksum) if (checksum := answer.get("ChecksumSHA256")) and "-" not in checksum else None,
        )

    def fetch(self, stored: StoredObject, into: Path, *, on_bytes: Callable[[int], None]) -> str:
        """See `ObjectStorage`."""
        which = {"VersionId": stored.version} if stored.version else {"IfMatch": stored.etag}
        where: Any = {**self._at(stored.bucket, stored.key), **which}

        def read_from(start: int) -> Any:
            return asked(lambda: self._client.get_object(**where, Range=f"bytes={start}-"))["Body"]

        return continued(into, stored.size, read_from, on_bytes)

    def put(
        self, bucket: Bucket, key: str, path: Path, *, content_type: str, disposition: str, cache_control: str
    ) -> None:
        """See `ObjectStorage`."""
        headers = _headers(content_type, disposition, cache_control)
        more: Any = {**self._at(bucket, key), **headers, **self._encryption.arguments()}
        checksum = _base64(hash_of(path))
        with path.open("rb") as file:
            asked(lambda: self._client.put_object(**more, Body=file, ChecksumSHA256=checksum))

    def delete(self, bucket: Bucket, keys: Sequence[str]) -> None:
        """See `ObjectStorage`. Uploads first: one that is finished meanwhile leaves a version, which goes after it."""
        for key in keys:
            where = self._at(bucket, key)
            self._abort_all(where)
            self._delete_versions(where)

    def keep(self, stored: StoredObject) -> None:
        """See `ObjectStorage`. Without versions there is no other one."""
        if stored.version is not None:
            self._delete_versions(self._at(stored.bucket, stored.key), but=stored.version)

    def listed(self, bucket: Bucket, prefix: str, *, after: str | None = None) -> Page:
        """See `ObjectStorage`."""
        return listed(self._client, self._names[bucket], prefix, after)

    def sizes(self, bucket: Bucket, prefix: str) -> Mapping[str, int]:
        """See `ObjectStorage`."""
        return sizes(self._client, self._names[bucket], prefix)

    def download_url(self, key: str, *, content_type: str, disposition: str, expires_in: timedelta) -> str:
        """See `ObjectStorage`."""
        if self._urls:
            return self._urls.download_url(
                key, content_type=content_type, disposition=disposition, expires_in=expires_in
            )
        headers = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        return self._public.generate_presigned_url(
            "get_object",
            Params={**self._at(Bucket.MEDIA, key), **headers},
            ExpiresIn=int(expires_in.total_seconds()),
        )

    def _at(self, bucket: Bucket, key: str) -> Any:
        return {"Bucket": self._names[bucket], "Key": key}

    def _abort_all(self, where: Any) -> None:
        for upload_id in every_multipart(self._client, where):
            self._abort(where, upload_id)

    def _abort(self, where: Any, upload_id: str) -> None:
        try:
            asked(lambda: self._client.abort_multipart_upload(**where, UploadId=upload_id))
        except ObjectMissing:
            return

    def _delete_versions(self, where: Any, *, but: str | None = None) -> None:
        for _ in range(_ROUNDS):
            versions = [each for each in every_version(self._client, where) if each["VersionId"] != but]
            if not versions:
                return
            self._drop(where["Bucket"], versions)
        raise StorageUnavailable("S3 still has versions of a key that was deleted")

    def _drop(self, bucket: str, versions: list[dict[str, str]]) -> None:
        gone: Any = {"Objects": versions, "Quiet": True}
        answer = asked(lambda: self._client.delete_objects(Bucket=bucket, Delete=gone))
        if errors := answer.get("Errors"):
            raise StorageUnavailable(f"S3 kept versions: {errors[0].get('Code')}")


def _headers(content_type: str, disposition: str, cache_control: str) -> dict[str, str]:
    return {"ContentType": content_type, "ContentDisposition": disposition, "CacheControl": cache_control}


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _hex(checksum: str) -> str:
    return base64.b64decode(checksum).hex()
