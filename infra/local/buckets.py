"""Makes the S3 buckets: versions, encryption, CORS for our own pages only, and a lifecycle. Once per data folder.

`python -m infra.local.buckets https://petfolio.example …`, with the S3 settings of an administrator in the environment;
the arguments are the origins of our pages.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from infra.local.s3_identities import BUCKETS, MEDIA, QUARANTINE

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_BROWSERS: Final[Mapping[str, Sequence[str]]] = {QUARANTINE: ("POST", "PUT"), MEDIA: ("GET", "HEAD")}
"""What a page may do; with the other buckets none does anything."""
_UNFINISHED: Final = {
    "ID": "unfinished-uploads",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}
# A rendition that is made again under its key leaves its former version behind. Not so in the quarantine: there a
# version is what an asset points to, and goes with it.
_FORMER: Final = {
    "ID": "former-versions",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
}
_MARKERS: Final = {
    "ID": "markers-of-nothing",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "Expiration": {"ExpiredObjectDeleteMarker": True},
}


def provision(origins: Sequence[str]) -> None:
    """May run again: each bucket gets what this release says."""
    client = _client()
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for bucket in BUCKETS:
        if bucket not in present:
            client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        _encrypt(client, bucket)
        _open_to(client, bucket, origins)
        rules: Any = [_UNFINISHED, _MARKERS, *([] if bucket == QUARANTINE else [_FORMER])]
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _client() -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=os.environ["PETFOLIO_S3_ENDPOINT"],
        aws_access_key_id=os.environ["PETFOLIO_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["PETFOLIO_S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def _encrypt(client: "S3Client", bucket: str) -> None:
    """For what comes without asking; our own calls ask by themselves (`PETFOLIO_STORAGE__ENCRYPTION`)."""
    rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def _open_to(client: "S3Client", bucket: str, origins: Sequence[str]) -> None:
    if bucket not in _BROWSERS:
        client.delete_bucket_cors(Bucket=bucket)
        return
    rule: Any = {
        "AllowedOrigins": list(origins),
        "AllowedMethods": list(_BROWSERS[bucket]),
        "AllowedHeaders": ["content-type"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    }
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})


if __name__ == "__main__":
    provision(sys.argv[1:])
