"""What a bucket holds, seen with its versions: an object whose newest version is a delete marker is still there."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from integrations.storage.calls import asked
from integrations.storage.protocol import Listed, OpenMultipart, Page

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PAGE = 1000


def listed(client: "S3Client", bucket: str, prefix: str, after: str | None) -> Page:
    """A page of keys. Where it ends between two versions of one key, that key is in this page only."""
    marker: Any = {"KeyMarker": after} if after else {}
    answer: Any = asked(lambda: client.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE, **marker))
    entries: dict[str, Listed] = {}
    for each in (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())):
        key, seen = each["Key"], entries.get(each["Key"])
        size, modified = each.get("Size", 0), each["LastModified"]
        entries[key] = (
            Listed(key, size + seen.size, max(modified, seen.modified_at)) if seen else Listed(key, size, modified)
        )
    page = [entries[key] for key in sorted(entries)]
    return Page(page, answer.get("NextKeyMarker") if answer.get("IsTruncated") else None)


def sizes(client: "S3Client", bucket: str, prefix: str) -> Mapping[str, int]:
    """By key, of what can be read: the newest versions, without what is hidden. A page of it."""
    answer: Any = asked(lambda: client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE))
    return {each["Key"]: each["Size"] for each in answer.get("Contents", ())}


def open_multiparts(client: "S3Client", bucket: str) -> Sequence[OpenMultipart]:
    """The first thousand by key, the oldest first."""
    answer: Any = asked(lambda: client.list_multipart_uploads(Bucket=bucket, MaxUploads=_PAGE))
    found = [OpenMultipart(each["Key"], each["UploadId"], each["Initiated"]) for each in answer.get("Uploads", ())]
    return sorted(found, key=lambda upload: upload.started_at)


def every_multipart(client: "S3Client", where: Any) -> Sequence[str]:
    """Ids of the open uploads of one key."""
    answer: Any = asked(lambda: client.list_multipart_uploads(Bucket=where["Bucket"], Prefix=where["Key"]))
    return [each["UploadId"] for each in answer.get("Uploads", ()) if each["Key"] == where["Key"]]


def every_version(client: "S3Client", where: Any) -> list[dict[str, str]]:
    """Versions and delete markers of one key, at most a page of them. It sorts before the keys that it is a prefix of,
    so an empty answer means that there are none."""
    answer: Any = asked(lambda: client.list_object_versions(Bucket=where["Bucket"], Prefix=where["Key"]))
    found = (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ()))
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found if each["Key"] == where["Key"]]
