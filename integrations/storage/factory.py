"""The storage of the settings, for both composition roots. Connects at the first call."""

from typing import TYPE_CHECKING

import boto3

from core.settings import Settings
from integrations.storage.calls import client_config
from integrations.storage.cloudfront import CloudFrontUrls
from integrations.storage.encryption import Encryption
from integrations.storage.protocol import Bucket
from integrations.storage.s3 import S3Storage

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def open_storage(settings: Settings) -> S3Storage:
    """One for the process; its clients may be used by many threads. Raises ValueError for a CloudFront key that is
    none."""
    storage = settings.storage
    client = _client(settings, settings.s3_endpoint)
    return S3Storage(
        client,
        _client(settings, storage.public_endpoint) if storage.public_endpoint else client,
        {Bucket.QUARANTINE: storage.quarantine_bucket, Bucket.MEDIA: storage.media_bucket},
        Encryption(storage.encryption, storage.kms_key_id),
        _cloudfront(settings),
    )


def _client(settings: Settings, endpoint: str | None) -> "S3Client":
    access, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    return boto3.client(
        "s3",
        region_name=settings.aws_region,
        endpoint_url=endpoint,
        # Blank is what a compose file passes on where the process has a role of its own.
        aws_access_key_id=(access.get_secret_value() or None) if access else None,
        aws_secret_access_key=(secret.get_secret_value() or None) if secret else None,
        # AWS has a host name for each bucket; other stores have one host.
        config=client_config(settings.storage.connections, path_style=endpoint is not None),
    )


def _cloudfront(settings: Settings) -> CloudFrontUrls | None:
    about = settings.storage.cloudfront
    if not (about.domain and about.key_pair_id and about.private_key):
        return None
    return CloudFrontUrls(about.domain, about.key_pair_id, about.private_key.get_secret_value())
